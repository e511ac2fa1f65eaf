"""Copies of the project in which the two tools may run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    said: str


@dataclass(frozen=True)
class Project:
    """A copy of the project."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def run(self, *command: str, ok: bool = True) -> Done:
        """Run a tool with this interpreter's neighbours on the PATH, as an activated environment would."""
        done = subprocess.run(
            command, cwd=self.path, env=environment(), text=True, capture_output=True, stdin=subprocess.DEVNULL
        )
        said = done.stdout + done.stderr
        if ok:
            assert done.returncode == 0, f"{' '.join(command)}\n{said}"
        return Done(done.returncode, said)

    def snakemake(self, *arguments: str, ok: bool = True) -> Done:
        return self.run("snakemake", *arguments, ok=ok)

    def dvc(self, *arguments: str, ok: bool = True) -> Done:
        return self.run("dvc", *arguments, ok=ok)

    def causaliqa(self, *arguments: str, ok: bool = True) -> Done:
        return self.run(sys.executable, "-m", "causaliqa", *arguments, ok=ok)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def copy(self, path: Path) -> Project:
        """Copy with times, so that neither tool sees a change."""
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path)


def environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SNAKEMAKE_", "DVC_", "GIT_")) and name != "PYTHONPATH"
    }
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@example.org",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_NO_ANALYTICS": "1",
    }


def fresh(path: Path) -> Project:
    """Copy what git would hold; make it a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        # dvc.lock and the tables of this machine's runs are not those of the small configuration.
        if (ROOT / name).is_file() and not name.startswith(("reports/", "results/", "dvc.lock")):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    project = Project(path)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    return project
