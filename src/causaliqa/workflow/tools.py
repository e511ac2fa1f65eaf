"""Record, sync and verify: the three places where Snakemake and DVC meet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from causaliqa.errors import WorkflowError
from causaliqa.workflow.dag import Dag, build_dag
from causaliqa.workflow.dvcfile import difference, stage_outs

Say = Callable[[str], None]


def _run(root: Path, module: str, *arguments: str) -> str:
    """Run Snakemake or DVC with this interpreter; return what it printed.

    Raises
    ------
    WorkflowError
        With the last line that the tool printed, if it failed.
    """
    environment = {
        **os.environ,
        # DVC stages call `snakemake` by name: the one beside this interpreter.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env=environment,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1] if lines else f"exit status {done.returncode}"
        reason = next((line for line in reversed(lines) if line.lower().startswith("error")), last)
        reason = reason.removeprefix("error: ").removeprefix("ERROR: ")
        raise WorkflowError(f"{module} {' '.join(arguments)} failed: {reason}")
    return done.stdout + "\n" + done.stderr


def pending(root: Path) -> str:
    """Return what Snakemake would still run, e.g. ``embed 2, pretrain 1``; empty if there is nothing to do."""
    said = _run(root, "snakemake", "--dry-run", "--quiet", "rules")
    if "Nothing to be done" in said:
        return ""
    # The table of jobs is printed twice.
    counts = dict(re.findall(r"^(\w+)\s+(\d+)$", said, flags=re.MULTILINE)).items()
    # A dry run that neither lists jobs nor says that it is done would be a change in Snakemake: never read it as clean.
    return ", ".join(f"{rule} {count}" for rule, count in counts if rule not in ("total", "all")) or "something"


def dvc_changes(root: Path) -> str:
    """Return the stages whose files or parameters differ from dvc.lock, in one line; empty if there are none."""
    said = _run(root, "dvc", "status", "--json")
    start = said.find("{")
    status: dict[str, list[object]] = json.loads(said[start : said.rfind("}") + 1]) if start >= 0 else {}
    lines = []
    for stage, reasons in status.items():
        parts = []
        for reason in reasons:
            if isinstance(reason, dict):
                for kind, items in reason.items():
                    names = sorted(map(str, items)) if isinstance(items, dict) else [str(items)]
                    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                    parts.append(f"{kind}: {', '.join(names[:3])}{more}")
            else:
                parts.append(str(reason))
        lines.append(f"{stage} ({'; '.join(parts)})")
    return ", ".join(lines)


def stray_files(root: Path, dag: Dag) -> list[str]:
    """Return files under the stages' folders that no job makes: left over from another configuration."""
    made = {path for job in dag.jobs for path in job.outputs}
    strays = []
    for out in sorted({out for outs in stage_outs(dag).values() for out in outs}):
        for path in sorted((root / out).rglob("*")):
            name = path.relative_to(root).as_posix()
            owners = {name, *(parent.as_posix() for parent in Path(name).parents)}
            if path.is_file() and not owners & made and path.name not in (".gitignore", ".snakemake_timestamp"):
                strays.append(name)
    return strays


def _expect_dvc_yaml(root: Path, dag: Dag) -> None:
    if changes := difference(root, dag):
        first = next((line for line in changes.splitlines()[2:] if line[:1] in "+-"), "")
        raise WorkflowError(
            f"dvc.yaml does not follow the Snakemake workflow (first difference: {first.strip()});"
            " run `causaliqa workflow dvc --write`"
        )


def record(root: Path, say: Say, *, prune: bool = False) -> None:
    """Make DVC record what Snakemake has made, without running anything again.

    Parameters
    ----------
    say : takes one line for each thing done.
    prune : delete files that no job of the present configuration makes, instead of refusing them.

    Raises
    ------
    WorkflowError
        If Snakemake would still run something, if files of another configuration lie among the outputs, or if
        DVC is not clean afterwards.
    """
    dag = build_dag(root)
    _expect_dvc_yaml(root, dag)
    if left := pending(root):
        raise WorkflowError(
            f"not everything is made: Snakemake would still run {left}; run `snakemake` first"
            " (without --configfile: DVC records params.yaml; `causaliqa config use` writes a preset into it)"
        )
    if strays := stray_files(root, dag):
        if not prune:
            raise WorkflowError(
                f"{len(strays)} files are no output of the present configuration, e.g. {strays[0]};"
                " add --prune to delete them"
            )
        for name in strays:
            (root / name).unlink()
            for parent in (root / name).parents:
                if parent == root or any(parent.iterdir()):
                    break
                parent.rmdir()
        say(f"deleted {len(strays)} files of other configurations")
    _run(root, "dvc", "commit", "--force", "--quiet")
    if changes := dvc_changes(root):
        raise WorkflowError(f"DVC still sees changes after the commit: {changes}; run `dvc status`")
    say(f"recorded {len(dag.stages)} stages in dvc.lock; keep them with `git add dvc.lock` and `dvc push`")


def sync(root: Path, say: Say) -> None:
    """Make Snakemake accept what DVC has put into the workspace (after pull, checkout, exp apply, branch switch).

    Raises
    ------
    WorkflowError
        If the workspace is not what dvc.lock says, or if Snakemake would still run something.
    """
    if changes := dvc_changes(root):
        raise WorkflowError(
            f"the workspace is not what dvc.lock says: {changes};"
            " run `dvc pull` (or `dvc checkout`), or `snakemake` and `causaliqa workflow record` if the change is yours"
        )
    # All jobs, not only those that look stale: Snakemake remembers parameters only of what it has touched, and would
    # not see the next change of the others.
    _run(root, "snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all")
    if left := pending(root):
        raise WorkflowError(
            f"Snakemake would still run {left} although DVC is clean; run `snakemake -n --quiet host` for the reasons"
        )
    say("the workspace is what dvc.lock says, and Snakemake has nothing to do")


def verify(root: Path, say: Say) -> None:
    """Check that both tools describe the same pipeline and that all of it is made.

    Raises
    ------
    WorkflowError
        At the first of: dvc.yaml is stale; a file or parameter is not as in dvc.lock; Snakemake would run something.
    """
    dag = build_dag(root)
    _expect_dvc_yaml(root, dag)
    say(f"dvc.yaml follows the Snakemake workflow: {len(dag.stages)} stages, {len(dag.jobs)} jobs")
    if changes := dvc_changes(root):
        raise WorkflowError(
            f"the workspace is not what dvc.lock says: {changes};"
            " run `dvc pull`, or `snakemake` and `causaliqa workflow record`"
        )
    say("data, outputs, code and parameters hash as in dvc.lock")
    if left := pending(root):
        raise WorkflowError(f"Snakemake would still run {left}; run `causaliqa workflow sync`")
    say("Snakemake has nothing to do")
