"""The audit in the pipeline: nothing of it by default, a stage and a page once scores are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from projects import ROOT, Project
from test_dag_agreement import disagreements

from causaliqa.evaluate.audit_stage import OUTPUTS
from causaliqa.workflow.dag import build_dag
from causaliqa.workflow.dvcfile import generate


def write_scores(folder: Path) -> None:
    folder.mkdir()
    names = [f"i{r:02d}_{t:02d}_{n}.bmp" for r in range(1, 26) for t in range(1, 25) for n in range(1, 6)]
    random = np.random.default_rng(0)
    opinion = random.uniform(0, 9, len(names))
    table = pd.DataFrame({"image": names, "score_in_file": opinion, "a": 9 - opinion + random.normal(size=len(names))})
    table.assign(b=table["a"] + random.normal(size=len(names))).to_csv(folder / "tid2013.csv", index=False)


def jobs(said: str) -> set[str]:
    """Return the rules that a dry run would run jobs of."""
    return set(re.findall(r"^(\w+) +\d+$", said, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def audited(unmade: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy whose params name scores that lie outside of it."""
    root = tmp_path_factory.mktemp("audited")
    project = unmade.copy(root / "project")
    write_scores(root / "published")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["audit"] = {"scores": "../published", "bootstrap": 100}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return project


def test_by_default_there_is_no_such_stage() -> None:
    dag = build_dag(ROOT)
    assert "audit" not in dag.stages
    assert not any(path.startswith(("results/audit", "reports/html/audit")) for job in dag.jobs for path in job.outputs)
    assert not any("audit" in path for job in dag.jobs for path in job.inputs)
    assert "audit" not in yaml.safe_load(generate(ROOT, dag))["stages"]


def test_asked_for_without_scores_it_says_so() -> None:
    said = Project(ROOT).snakemake("--dry-run", "--", "stage_audit").said
    assert "Stage audit has nothing to do: audit.scores is not set" in said


def test_with_scores_both_tools_know_the_stage_and_its_page(audited: Project) -> None:
    dag = build_dag(audited.path)
    stages: dict[str, Any] = yaml.safe_load(generate(audited.path, dag))["stages"]
    assert disagreements(dag, stages) == []
    stage = stages["audit"]
    assert stage["cmd"] == "snakemake -q --allowed-rules audit stage_audit -- stage_audit"
    assert stage["outs"] == ["results/audit"]
    assert stage["params"] == ["audit"]
    assert {"../published/tid2013.csv", "src/causaliqa/evaluate/audit.py"} <= set(stage["deps"])
    assert {"results/audit", "workflow/notebooks/audit.ipynb"} <= set(stages["report"]["deps"])
    (job,) = [job for job in dag.jobs if job.rule == "audit"]
    assert set(job.outputs) == {f"results/audit/{name}" for name in OUTPUTS}
    (page,) = [job for job in dag.jobs if job.rule == "report_audit"]
    assert not any(path.startswith(("results/", "data/")) and "audit" not in path for path in page.inputs)
    # The other pages hang on nothing of it.
    assert not any("results/audit" in path for job in dag.jobs if job.rule == "report" for path in job.inputs)
    ignored = audited.run("git", "check-ignore", "--no-index", "results/audit")
    assert ignored.said.strip() == "results/audit"


def test_a_folder_without_scores_is_one_line(audited: Project) -> None:
    done = audited.snakemake("--dry-run", "--config", "audit={scores: config}", "--", "stage_audit", ok=False)
    assert done.code != 0
    assert "error: config: holds none of live.csv, csiq.csv, tid2013.csv" in done.said
    assert "Traceback" not in done.said


@pytest.mark.slow
def test_the_page_is_made_without_any_model(audited: Project) -> None:
    audited.causaliqa("workflow", "dvc", "--write")
    audited.snakemake("--cores", "1", "--", "stage_audit", "reports/html/audit.html")
    assert {path.name for path in (audited / "results/audit").iterdir()} == set(OUTPUTS)
    assert not (audited / "data/raw").exists()
    assert "tid2013_24" in (audited / "reports/html/audit.html").read_text()
    asked = ("--dry-run", "--quiet", "rules", "--", "stage_audit", "reports/html/audit.html")
    # What is done stays done; a file that changed outside of the project counts as any other input.
    assert jobs(audited.snakemake(*asked).said) & {"audit", "report_audit"} == set()
    scores = audited.path.parent / "published/tid2013.csv"
    table = pd.read_csv(scores)
    table.assign(a=table["a"] + 1).to_csv(scores, index=False)
    assert jobs(audited.snakemake(*asked).said) >= {"audit", "report_audit"}
