"""Stage weights: there only where a configured metric needs it, and what it makes."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from projects import ROOT, Project, fresh

from causaliqa.baselines.deep.layouts import LAYOUTS
from causaliqa.workflow.dag import build_dag
from causaliqa.workflow.dvcfile import generate

MADE = {"data/weights/squeezenet1_1.safetensors", "data/weights/squeezenet1_1.json"}


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project with a deep metric among the baselines."""
    project = fresh(tmp_path_factory.mktemp("deep") / "project")
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["baselines"]["metrics"] = ["psnr", "squeeze_lpips"]
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return project


def toy_source() -> bytes:
    """An .npz of zeros with all arrays that are asked for."""
    layout, content = LAYOUTS["squeezenet1_1"], io.BytesIO()
    names = layout.names["npz"]
    np.savez(content, **{names[key]: np.zeros(shape, np.float16) for key, shape in layout.shapes.items()})
    return content.getvalue()


def test_without_deep_metrics_there_is_no_such_stage() -> None:
    dag = build_dag(ROOT)
    assert "weights" not in dag.stages
    assert not any("weights" in job.rule for job in dag.jobs)
    assert "weights" not in yaml.safe_load(generate(ROOT, dag))["stages"]


def test_a_deep_metric_makes_the_stage_and_baselines_wait_for_it(deep: Project) -> None:
    dag = build_dag(deep.path)
    assert {path for job in dag.jobs if job.rule == "weights" for path in job.outputs} == MADE
    scoring = [job for job in dag.jobs if job.rule == "baselines"]
    assert scoring
    assert all("data/weights/squeezenet1_1.safetensors" in job.inputs for job in scoring)
    stages = yaml.safe_load(generate(deep.path, dag))["stages"]
    assert list(stages).index("weights") < list(stages).index("baselines")
    assert stages["weights"]["outs"] == ["data/weights"]
    assert "data/weights.yaml" in stages["weights"]["deps"]
    assert "data/weights" in stages["baselines"]["deps"]


def test_metrics_of_labelled_sets_are_no_concern_of_the_others(tmp_path: Path) -> None:
    project = fresh(tmp_path / "project").path
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["fetch"]["labelled"] = ["live_partial"]
    params["baselines"]["labelled_metrics"] = ["vif", "squeeze_dists"]
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    jobs = {job.outputs[0].split("/")[2]: job for job in build_dag(project).jobs if job.rule == "baselines"}
    weights = "data/weights/squeezenet1_1.safetensors"
    assert [name for name, job in jobs.items() if weights in job.inputs] == ["live_partial"]
    assert [name for name, job in jobs.items() if "squeeze_dists" in str(job.command)] == ["live_partial"]
    assert [name for name, job in jobs.items() if '"vif"' in str(job.command)] == ["live_partial"]


def test_the_stage_takes_weights_from_a_mirror(deep: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = toy_source()
    registry = yaml.safe_load((deep / "data/weights.yaml").read_text())
    source = registry["squeezenet1_1"]["sources"][0]
    source |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    # Without a mirror and without addresses: one line that says what to do.
    registry["squeezenet1_1"]["sources"] = [source]
    (deep / "data/weights.yaml").write_text(yaml.safe_dump(registry))
    monkeypatch.delenv("CAUSALIQA_MIRROR", raising=False)
    deep.snakemake("--cores", "1", "--quiet", "all", "--", "stage_weights", ok=False)
    said = (deep / "logs/weights/squeezenet1_1.log").read_text()
    assert "squeezenet1_1_imagenet_fp16.npz is not served to everyone" in said
    assert "CAUSALIQA_MIRROR" in said
    (tmp_path / source["name"]).write_bytes(content)
    monkeypatch.setenv("CAUSALIQA_MIRROR", str(tmp_path))
    deep.snakemake("--cores", "1", "--", "stage_weights")
    assert all((deep / path).is_file() for path in MADE)
    # Another entry of the registry is no reason to fetch this one again.
    registry["dists"]["note"] = "changed"
    (deep / "data/weights.yaml").write_text(yaml.safe_dump(registry))
    assert "Nothing to be done" in deep.snakemake("--cores", "1", "--", "stage_weights").said
