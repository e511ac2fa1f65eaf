"""Snakemake and DVC together, on a pipeline of a minute: record, pull and sync, experiments, kills, bad input."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from projects import Project, environment

from causaliqa.workflow.dag import build_dag
from causaliqa.workflow.tools import pending

pytestmark = pytest.mark.slow

DOWNSTREAM = {"pretrain", "embed", "interventions", "project", "regress", "evaluate", "report"}
NOTHING = "Nothing to be done"


def digests(project: Project) -> dict[str, str]:
    """SHA-256 of every file that a stage made."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    found = {}
    for stage in stages.values():
        for item in [*stage.get("outs", []), *stage.get("metrics", [])]:
            out = project / (next(iter(item)) if isinstance(item, dict) else item)
            assert out.exists(), out
            for path in [out] if out.is_file() else sorted(out.rglob("*")):
                if path.is_file() and path.name != ".snakemake_timestamp":
                    name = path.relative_to(project.path).as_posix()
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def edit_params(project: Project, **sections: dict[str, object]) -> None:
    path = project / "params.yaml"
    values = yaml.safe_load(path.read_text())
    for name, keys in sections.items():
        values[name].update(keys)
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def planned(project: Project) -> set[str]:
    """Rules that Snakemake would run."""
    return {item.split()[0] for item in pending(project.path).split(", ") if item}


def test_a_second_call_does_nothing_and_says_so(finished: Project) -> None:
    assert NOTHING in finished.snakemake().said
    assert pending(finished.path) == ""


def test_record_runs_nothing_again(recorded: Project, tmp_path: Path) -> None:
    assert recorded.dvc("status").said.strip() == "Data and pipelines are up to date."
    before = {path: (recorded / path).stat().st_mtime_ns for path in digests(recorded)}
    assert "Data and pipelines are up to date." in recorded.dvc("repro").said
    assert {path: (recorded / path).stat().st_mtime_ns for path in digests(recorded)} == before
    assert recorded.run("git", "status", "--porcelain").said == ""
    said = recorded.causaliqa("workflow", "verify").said
    assert "Snakemake has nothing to do" in said


def test_record_refuses_what_is_not_made_or_not_its_own(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    (project / "results" / "metrics.json").unlink()
    done = project.causaliqa("workflow", "record", ok=False)
    assert done.code == 1
    assert "Snakemake would still run evaluate 1, report 3; run `snakemake` first" in done.said
    shutil.copy2(finished / "results" / "metrics.json", project / "results" / "metrics.json")
    stray = project / "results" / "pretrain" / "old" / "full" / "0" / "model.json"
    stray.parent.mkdir(parents=True)
    stray.write_text("{}")
    done = project.causaliqa("workflow", "record", ok=False)
    assert done.code == 1
    assert "results/pretrain/old/full/0/model.json; add --prune" in done.said
    assert not (project / "dvc.lock").exists()
    said = project.causaliqa("workflow", "record", "--prune").said
    assert "deleted 1 files" in said
    assert not (project / "results" / "pretrain" / "old").exists()


def test_verify_and_sync_name_a_changed_output(recorded: Project, tmp_path: Path) -> None:
    project = recorded.copy(tmp_path / "project")
    (project / "results" / "metrics.json").write_text("{}\n")
    for verb in ("verify", "sync"):
        done = project.causaliqa("workflow", verb, ok=False)
        assert done.code == 1
        assert re.search(r"error: the workspace is not what dvc\.lock says: .*results/metrics\.json", done.said)


def test_a_clone_pulls_and_has_nothing_to_do(recorded: Project, tmp_path: Path) -> None:
    origin = recorded.copy(tmp_path / "origin")
    origin.dvc("remote", "add", "--default", "local", str(tmp_path / "remote"))
    origin.commit("remote")
    origin.dvc("push")
    clone = Project(tmp_path / "clone")
    origin.run("git", "clone", "--quiet", str(origin.path), str(clone.path))
    done = clone.causaliqa("workflow", "sync", ok=False)
    assert done.code == 1
    assert "dvc pull" in done.said
    clone.dvc("pull")
    assert planned(clone)  # Times after a checkout mean nothing: without sync Snakemake would run jobs again.
    assert "Snakemake has nothing to do" in clone.causaliqa("workflow", "sync").said
    assert NOTHING in clone.snakemake("--dry-run").said
    assert clone.run("git", "status", "--porcelain").said == ""
    assert digests(clone) == digests(recorded)
    # What Snakemake accepted, it also remembers: a change of the parameters is seen.
    edit_params(clone, pretrain={"mask": "none"})
    assert planned(clone) == DOWNSTREAM


def test_both_tools_see_the_same_change(finished: Project, recorded: Project, tmp_path: Path) -> None:
    project = recorded.copy(tmp_path / "project")
    edit_params(project, pretrain={"mask": "none"})
    assert planned(project) == DOWNSTREAM
    status = json.loads(project.dvc("status", "--json").said)
    assert set(status) == {"pretrain"}  # DVC names where it starts; what follows depends on the new hashes.
    edit_params(project, pretrain={"mask": "content"}, evaluate={"bootstrap": 101})
    assert planned(project) == {"evaluate", "report"}
    assert set(json.loads(project.dvc("status", "--json").said)) == {"evaluate"}
    # Code: an edit of one module reaches the stages that import it.
    edit_params(project, evaluate={"bootstrap": 100})
    with (project / "src" / "causaliqa" / "labelfree" / "stage.py").open("a") as handle:
        handle.write("# edited\n")
    dag = build_dag(project.path)
    users = {job.stage for job in dag.jobs if "src/causaliqa/labelfree/stage.py" in job.inputs}
    assert set(json.loads(project.dvc("status", "--json").said)) == users
    assert users <= planned(project) | {"report"}
    assert "project" in planned(project)
    assert not {"degrade", "pretrain", "baselines"} & planned(project)


def test_an_experiment_in_a_copy_of_the_workspace(recorded: Project, tmp_path: Path) -> None:
    project = recorded.copy(tmp_path / "project")
    said = project.dvc("exp", "run", "--temp", "--name", "nomask", "--set-param", "pretrain.mask=none").said
    ran = set(re.findall(r"Running stage '(\w+)'", said))
    assert ran == DOWNSTREAM - {"interventions"}
    assert project.run("git", "status", "--porcelain").said == ""
    (row,) = [row for row in json.loads(project.dvc("exp", "show", "--json").said) if row["rev"] != "workspace"]
    (experiment,) = [item for group in row["experiments"] for item in group["revs"]]
    assert experiment["name"] == "nomask"
    assert experiment["data"]["params"]["params.yaml"]["data"]["pretrain"]["mask"] == "none"
    diff = json.loads(project.dvc("metrics", "diff", "HEAD", "nomask", "--json").said)
    assert diff
    assert json.loads(project.dvc("params", "diff", "HEAD", "nomask", "--json").said) == {
        "params.yaml": {"pretrain.mask": {"old": "content", "new": "none"}}
    }
    plots = json.loads(project.dvc("plots", "diff", "HEAD", "nomask", "--json").said)
    assert not plots.get("errors")
    assert set(plots["data"]) == {
        "learning",
        *(f"results/evaluate/{n}.csv" for n in ("methods", "severity", "few_label")),
    }
    # Brought into the workspace and accepted there.
    project.dvc("exp", "apply", "nomask")
    assert "nothing to do" in project.causaliqa("workflow", "sync").said


def test_an_experiment_remakes_data_that_it_changes(recorded: Project, tmp_path: Path) -> None:
    """A copied workspace has no history of Snakemake: what DVC declares changed must be made again all the same."""
    project = recorded.copy(tmp_path / "project")
    project.dvc("exp", "run", "--temp", "--name", "more", "--set-param", "degrade.compositions=3", "degrade")
    before = yaml.safe_load((project / "dvc.lock").read_text())
    project.dvc("exp", "apply", "more")
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    made = dict.fromkeys(("degrade",), lock["stages"]["degrade"]["outs"] != before["stages"]["degrade"]["outs"])
    assert made == {"degrade": True}
    assert lock["stages"]["fetch"] == before["stages"]["fetch"]


def _kill_in_training(project: Project) -> None:
    """Start the pipeline and kill all of it, without warning, once a checkpoint is written."""
    started = subprocess.Popen(
        ["snakemake", "--cores", "1", "--scheduler", "greedy"],
        cwd=project.path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 600
        while not any(path.is_file() for path in (project / ".causaliqa" / "checkpoints").rglob("*.safetensors")):
            assert time.monotonic() < until, "no checkpoint after ten minutes"
            assert started.poll() is None, "ended before a checkpoint was seen"
            time.sleep(0.02)
    finally:
        # The session is everything that this start made.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def test_a_killed_run_in_another_folder_ends_in_the_same_bytes(
    unmade: Project, finished: Project, tmp_path: Path
) -> None:
    """Another folder, another number of cores, another order of jobs, and SIGKILL in the middle of the training."""
    other = unmade.copy(tmp_path / "elsewhere" / "another_name")
    _kill_in_training(other)
    assert not list((other / "results" / "pretrain").rglob("model.safetensors"))
    said = other.snakemake("--cores", "1").said
    assert "the previous run was killed; its lock is removed" in said
    assert digests(other) == digests(finished)


def test_a_truncated_shard_is_named_in_one_line(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    shards = sorted((project / "data" / "degraded" / "bundled_texture" / "shards").glob("*.parquet"))
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[:-100])
    edit_params(project, pretrain={"steps": 13})
    done = project.snakemake("stage_pretrain", ok=False)
    assert done.code != 0
    (line,) = {line for line in done.said.splitlines() if line.startswith("error: ")}
    assert re.search(r"error: data/degraded/bundled_texture/shards/\w+\.parquet: truncated or not Parquet", line)
    assert "delete data/degraded/bundled_texture and run stage degrade again" in line
    assert not (project / "results" / "pretrain" / "all_domains" / "full" / "0" / "model.safetensors").exists()
    # The remedy leads on: Snakemake makes the folder again.
    shutil.rmtree(project / "data" / "degraded" / "bundled_texture")
    assert "degrade" in planned(project)


def test_a_corrupt_image_is_named_in_one_line(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    image = next((project / "data" / "raw" / "bundled_document" / "images").glob("*.png"))
    image.write_bytes(image.read_bytes()[:2000])
    edit_params(project, degrade={"compositions": 1})
    done = project.snakemake("data/degraded/bundled_document/manifest.parquet", ok=False)
    assert done.code != 0
    (line,) = {line for line in done.said.splitlines() if line.startswith("error: ")}
    assert image.relative_to(project.path).as_posix() in line
    assert not (project / "data" / "degraded" / "bundled_document" / "manifest.parquet").exists()


def test_a_full_disk_is_named_in_one_line_and_leaves_nothing(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    disk = project / "results" / "embed"
    shutil.rmtree(disk)
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        done = project.snakemake("stage_embed", ok=False)
        assert done.code != 0
        lines = {line for line in done.said.splitlines() if line.startswith("error: ")}
        assert lines
        assert all("the disk is full; free some space and run the same command again" in line for line in lines)
        assert [path for path in disk.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    project.snakemake("stage_embed")
    assert digests(project) == digests(finished)
