"""Copies of the project in which the two tools may run."""

from __future__ import annotations

import pytest
from projects import Project, fresh


@pytest.fixture(scope="session")
def unmade(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy with the preset ci in params.yaml; nothing has run in it. Shared: copy it before changing it."""
    project = fresh(tmp_path_factory.mktemp("unmade") / "project")
    project.causaliqa("config", "use", "ci")
    project.commit("project")
    return project


@pytest.fixture(scope="session")
def finished(unmade: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, run by Snakemake to the end. Shared: copy it before changing it."""
    project = unmade.copy(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake("--cores", "2")
    return project


@pytest.fixture(scope="session")
def recorded(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project, recorded by DVC and committed. Shared: copy it before changing it."""
    project = finished.copy(tmp_path_factory.mktemp("recorded") / "project")
    project.causaliqa("workflow", "record")
    project.commit("recorded")
    return project
