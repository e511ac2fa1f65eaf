"""Snakemake and DVC describe the same pipeline."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from projects import ROOT

from causaliqa.workflow.dag import Dag, build_dag
from causaliqa.workflow.dvcfile import difference, generate


@pytest.fixture(scope="module")
def dag() -> Dag:
    return build_dag(ROOT)


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    return dict(loaded["stages"])


def names(items: list[Any]) -> set[str]:
    return {next(iter(item)) if isinstance(item, dict) else item for item in items}


def outs(stage: dict[str, Any]) -> set[str]:
    return names(stage.get("outs", [])) | names(stage.get("metrics", []))


def under(path: str, folders: set[str]) -> set[str]:
    parents = {path, *(parent.as_posix() for parent in PurePosixPath(path).parents)}
    return parents & folders


def disagreements(dag: Dag, stages: dict[str, Any]) -> list[str]:
    """All ways in which the stages of a dvc.yaml miss what the jobs say; independent of the generator."""
    found = []
    maker = dag.maker()
    owner = {out: name for name, stage in stages.items() for out in outs(stage)}
    if set(stages) != set(dag.stages):
        found.append(f"stages differ: {sorted(set(stages) ^ set(dag.stages))}")
    edges: set[tuple[str, str]] = set()
    for job in dag.jobs:
        if job.stage not in stages:
            continue
        for path in job.outputs:
            owners = {owner[out] for out in under(path, set(owner))}
            if owners != {job.stage} or len(under(path, set(owner))) != 1:
                found.append(f"output {path} of {job.stage} lies under outs of {sorted(owners)}")
        for path in job.inputs:
            other = maker[path].stage if path in maker else None
            if other == job.stage:
                continue
            if other is not None:
                edges.add((other, job.stage))
            if not under(path, set(stages[job.stage]["deps"])):
                found.append(f"input {path} of {job.stage} lies under none of its deps")
    drawn = {
        (owner[dep], name)
        for name, stage in stages.items()
        for dep in stage["deps"]
        if dep in owner and owner[dep] != name
    }
    found += [f"edge {one} -> {two} is only in the Snakemake workflow" for one, two in sorted(edges - drawn)]
    found += [f"edge {one} -> {two} is only in dvc.yaml" for one, two in sorted(drawn - edges)]
    for name, stage in stages.items():
        used = {section for job in dag.jobs if job.stage == name for section in job.sections}
        if used != set(stage.get("params", [])):
            found.append(f"params of {name}: {sorted(stage.get('params', []))}, its rules use {sorted(used)}")
        allowed = stage["cmd"].partition("--allowed-rules ")[2].partition(" -- ")[0].split()
        if name in dag.rules and allowed != list(dag.rules[name]):
            found.append(f"allowed rules of {name}: {allowed}, its file has {dag.rules[name]}")
    return found


def test_both_describe_the_same_pipeline(dag: Dag, stages: dict[str, Any]) -> None:
    assert disagreements(dag, stages) == []


def test_dvc_yaml_is_the_generated_text(dag: Dag) -> None:
    assert difference(ROOT, dag) == ""


def test_git_ignores_what_dvc_keeps(stages: dict[str, Any]) -> None:
    for stage in stages.values():
        for item in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path, options = next(iter(item.items())) if isinstance(item, dict) else (item, {})
            done = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT)
            assert (done.returncode == 0) == options.get("cache", True), path


def test_every_job_logs_and_every_command_is_the_package(dag: Dag) -> None:
    for job in dag.jobs:
        if job.command is not None:
            assert "python -m causaliqa " in job.command, job.rule
            assert "&> logs/" in job.command, job.rule


def test_evaluate_declares_all_that_it_writes(dag: Dag) -> None:
    from causaliqa.evaluate.stage import OUTPUTS

    (job,) = [job for job in dag.jobs if job.rule == "evaluate"]
    assert set(job.outputs) == {f"results/evaluate/{name}" for name in OUTPUTS} | {"results/metrics.json"}


def _without(stages: dict[str, Any], name: str, key: str, item: str) -> dict[str, Any]:
    kept = [entry for entry in stages[name][key] if names([entry]) != {item}]
    assert len(kept) == len(stages[name][key]) - 1
    return {**stages, name: {**stages[name], key: kept}}


def test_it_bites(dag: Dag, stages: dict[str, Any]) -> None:
    """A dvc.yaml that lost a dependency, an output, a parameter or a rule is told so by name."""
    lost = disagreements(dag, _without(stages, "pretrain", "deps", "data/degraded"))
    assert "edge degrade -> pretrain is only in the Snakemake workflow" in lost
    assert {line for line in lost if line.startswith("input ")} == {
        f"input {path} of pretrain lies under none of its deps"
        for job in dag.jobs
        if job.rule == "pretrain"
        for path in job.inputs
        if path.startswith("data/degraded/")
    }
    lost = disagreements(dag, _without(stages, "degrade", "deps", "src/causaliqa/seeding.py"))
    assert lost == ["input src/causaliqa/seeding.py of degrade lies under none of its deps"] * len(lost)
    assert lost
    lost = disagreements(dag, _without(stages, "embed", "outs", "results/interventions"))
    assert any(line.startswith("output results/interventions/") for line in lost)
    assert disagreements(dag, _without(stages, "project", "params", "project")) == [
        "params of project: ['embed'], its rules use ['embed', 'project']"
    ]
    command = stages["embed"]["cmd"].replace(" interventions", "")
    lost = disagreements(dag, {**stages, "embed": {**stages["embed"], "cmd": command}})
    assert len(lost) == 1
    assert lost[0].startswith("allowed rules of embed")


def test_a_stale_dvc_yaml_is_shown_as_a_diff(dag: Dag, tmp_path: Path) -> None:
    text = generate(ROOT, dag)
    # The package lies beside dvc.yaml: only its folder structure matters for the text.
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "dvc.yaml").write_text(text.replace("- data/degraded\n", "", 1))
    assert "+    - data/degraded\n" in difference(tmp_path, dag)
    (tmp_path / "dvc.yaml").write_text(text)
    assert difference(tmp_path, dag) == ""
