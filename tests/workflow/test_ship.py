"""The metric that comes with the package is made by name, never by a plain run."""

from __future__ import annotations

from projects import ROOT, Project

from causaliqa.workflow.dag import build_dag


def test_the_packaged_metric_is_a_target_of_its_own() -> None:
    done = Project(ROOT).snakemake(
        "--dry-run", "--forceall", "--printshellcmds", "--configfile", "config/natural.yaml", "--", "ship_natural"
    )
    rows = [line.split() for line in done.said.splitlines()]
    for rule in ("fetch", "degrade", "pretrain", "project", "ship_natural"):
        assert [rule, "1"] in rows
    assert not any(row[:1] in (["evaluate"], ["report"]) for row in rows)
    assert "--command 'snakemake --cores all ship_natural --configfile config/natural.yaml'" in done.said


def test_it_is_no_part_of_the_pipeline() -> None:
    dag = build_dag(ROOT)
    assert "ship" not in dag.stages
    assert not [job for job in dag.jobs if any("weights/natural" in path for path in (*job.inputs, *job.outputs))]
