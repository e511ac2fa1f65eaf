"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with published databases in their authors' layouts (tid2013/, live/, ...), or skip.

    They may not be redistributed, so a test that needs them runs only where CAUSALIQA_TEST_DATA names such a folder.
    """
    folder = os.environ.get("CAUSALIQA_TEST_DATA", "")
    if not folder:
        pytest.skip("CAUSALIQA_TEST_DATA is not set: it names a folder that holds tid2013/, live/, ...")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"CAUSALIQA_TEST_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def test_weights() -> Path:
    """Folder with published weights of networks (squeezenet1_1_imagenet_fp16.npz), or skip."""
    folder = os.environ.get("CAUSALIQA_TEST_WEIGHTS", "")
    if not folder:
        pytest.skip("CAUSALIQA_TEST_WEIGHTS is not set: it names a folder that holds squeezenet1_1_imagenet_fp16.npz")
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"CAUSALIQA_TEST_WEIGHTS={folder} is not a folder")
    return path
