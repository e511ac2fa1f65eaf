"""The DVC pipeline, generated from the Snakemake DAG: nothing in dvc.yaml is written by hand."""

from __future__ import annotations

import difflib
import graphlib
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from causaliqa.errors import WorkflowError
from causaliqa.io import write_text
from causaliqa.workflow.dag import TARGET, Dag, build_dag

_HEADER = """\
# Generated from the Snakemake workflow: do not edit. Remake with `causaliqa workflow dvc --write`.
"""
#: Outputs small enough to be read in a diff: kept in git, not in DVC's cache.
IN_GIT = ("reports/tables", "results/metrics.json")
METRICS = ("results/metrics.json",)
#: Folders of the package that a list of files may be shortened to.
_PACKAGE = "src/causaliqa"


def out_of(path: str) -> str:
    """Return the DVC output that a file belongs to: the first two parts of its path."""
    return "/".join(PurePosixPath(path).parts[:2])


def collapse(paths: set[str], root: Path) -> set[str]:
    """Replace files of the package by their folder wherever the folder holds nothing else."""
    short = set(paths)
    folders = {folder.as_posix() for path in paths for folder in PurePosixPath(path).parents}
    for folder in sorted(folders):
        if not folder.startswith(f"{_PACKAGE}/") or not any(item.startswith(f"{folder}/") for item in short):
            continue
        held = {
            item.relative_to(root).as_posix()
            for item in (root / folder).rglob("*")
            if item.is_file() and "__pycache__" not in item.parts and not item.name.startswith(".")
        }
        if held <= paths:
            short = {item for item in short if not item.startswith(f"{folder}/")} | {folder}
    return short


def stage_outs(dag: Dag) -> dict[str, set[str]]:
    """Return the DVC outputs of each stage.

    Raises
    ------
    WorkflowError
        If one folder is written by two stages.
    """
    outs: dict[str, set[str]] = {stage: set() for stage in dag.stages}
    owner: dict[str, str] = {}
    for job in dag.jobs:
        for path in job.outputs:
            out = out_of(path)
            if owner.setdefault(out, job.stage) != job.stage:
                raise WorkflowError(
                    f"{out}: written by stage {owner[out]} and by stage {job.stage}; give each stage its own folder"
                )
            outs[job.stage].add(out)
    return outs


def stage_deps(dag: Dag, root: Path) -> dict[str, set[str]]:
    """Return the DVC dependencies of each stage: other stages' outputs, sources, and the workflow's own files."""
    maker = dag.maker()
    deps: dict[str, set[str]] = {}
    for stage in dag.stages:
        data, sources = set(), {*dag.shared, dag.rule_files[stage]}
        for path in (path for job in dag.jobs if job.stage == stage for path in job.inputs):
            if path not in maker:
                sources.add(path)
            elif maker[path].stage != stage:
                data.add(out_of(path))
        deps[stage] = data | collapse(sources, root)
    return deps


def stage_sections(dag: Dag) -> dict[str, set[str]]:
    """Return the sections of params.yaml that each stage reads."""
    return {
        stage: {section for job in dag.jobs if job.stage == stage for section in job.sections} for stage in dag.stages
    }


def command(dag: Dag, stage: str) -> str:
    """Return the command of a DVC stage.

    Without ``--allowed-rules`` Snakemake could decide, by modification times, to rewrite what the stage depends on.
    """
    return f"snakemake -q --allowed-rules {' '.join(dag.rules[stage])} -- {TARGET}{stage}"


def order(dag: Dag, outs: dict[str, set[str]], deps: dict[str, set[str]]) -> list[str]:
    """Return the stages in topological order, otherwise in the Snakefile's."""
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter(
        {stage: {other for other in dag.stages if outs[other] & deps[stage]} for stage in dag.stages}
    )
    sorter.prepare()
    ready: list[str] = []
    result: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=dag.stages.index)
        result.append(ready.pop(0))
        sorter.done(result[-1])
    return result


def plots(dag: Dag) -> list[dict[str, Any]]:
    """Return DVC's plots, what `dvc plots diff` draws for each experiment; their templates are in .dvc/plots."""
    made = {path for job in dag.jobs for path in job.outputs}
    histories = sorted(path for path in made if PurePosixPath(path).name == "history.csv")
    # The same curve of every model in one plot: a file for each, in one row of panels.
    drawn: list[dict[str, Any]] = [
        {"learning": {"template": "learning", "x": "step", "y": dict.fromkeys(histories, "total")}}
    ]
    axes = {"methods": ("value", "method"), "severity": ("value", "distortion"), "few_label": ("labels", "value")}
    for name, (x, y) in axes.items():
        path = f"results/evaluate/{name}.csv"
        if path not in made:
            raise WorkflowError(f"{path}: plotted by DVC, but no job makes it")
        drawn.append({path: {"template": name, "x": x, "y": y}})
    return drawn


def generate(root: Path, dag: Dag | None = None) -> str:
    """Return the text of dvc.yaml for the workflow in `root`."""
    dag = dag or build_dag(root)
    outs, deps, sections = stage_outs(dag), stage_deps(dag, root), stage_sections(dag)
    stages: dict[str, Any] = {}
    for stage in order(dag, outs, deps):
        body: dict[str, Any] = {"cmd": command(dag, stage), "deps": sorted(deps[stage])}
        if sections[stage]:
            body["params"] = sorted(sections[stage])
        plain = [
            {path: {"cache": False}} if path in IN_GIT else path for path in sorted(outs[stage]) if path not in METRICS
        ]
        if plain:
            body["outs"] = plain
        metrics = [{path: {"cache": False}} for path in sorted(outs[stage]) if path in METRICS]
        if metrics:
            body["metrics"] = metrics
        stages[stage] = body
    document: dict[str, Any] = {"stages": stages, "plots": plots(dag)}
    return _HEADER + yaml.safe_dump(document, sort_keys=False, width=1000)


def write(root: Path) -> bool:
    """Write dvc.yaml; return whether it changed."""
    text, path = generate(root), root / "dvc.yaml"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True


def difference(root: Path, dag: Dag | None = None) -> str:
    """Return a unified diff from dvc.yaml to what the workflow says; empty if they agree."""
    path = root / "dvc.yaml"
    found = path.read_text(encoding="utf-8") if path.is_file() else ""
    return "".join(
        difflib.unified_diff(
            found.splitlines(keepends=True),
            generate(root, dag).splitlines(keepends=True),
            "dvc.yaml",
            "dvc.yaml as the Snakemake workflow says",
        )
    )
