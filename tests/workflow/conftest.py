"""Copies of the project in which the two tools may run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from projects import Project, fresh


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[], Project]:
    """Return a maker of fresh copies with the preset ci in params.yaml; nothing has run in them."""

    def make() -> Project:
        project = fresh(tmp_path / f"project{len(list(tmp_path.iterdir()))}")
        project.causaliqa("config", "use", "ci")
        project.commit("project")
        return project

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the preset ci, run by Snakemake to the end. Shared: copy it before changing it."""
    project = fresh(tmp_path_factory.mktemp("finished") / "project")
    project.causaliqa("config", "use", "ci")
    project.commit("project")
    project.snakemake("--cores", "2")
    return project


@pytest.fixture(scope="session")
def recorded(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project, recorded by DVC and committed. Shared: copy it before changing it."""
    project = finished.copy(tmp_path_factory.mktemp("recorded") / "project")
    project.causaliqa("workflow", "record")
    project.commit("recorded")
    return project
