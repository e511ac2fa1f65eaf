"""Two processes train one model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synthetic import degraded_set

from causaliqa.config import Base, Pretrain
from causaliqa.disentangle import training
from causaliqa.disentangle.batches import BatchSampler
from causaliqa.disentangle.losses import training_terms
from causaliqa.disentangle.model import DisentanglementModel
from causaliqa.disentangle.ranks import Ranks
from causaliqa.io import read_tensors
from causaliqa.seeding import derive_seed, make_deterministic

SMALL = {"width": 4, "scales": 3, "channels": 2, "groups": 2, "crop": 32, "steps": 2, "validate_every": 1}
SECTION = Pretrain.model_validate({"scenarios": {"s": ["toy"]}, **SMALL})


def by_two(folder: Path, toy: Path) -> Path:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "causaliqa",
        "pretrain", str(toy), "--out", str(folder / "model"), "--checkpoints", str(folder / "ck"),
        "--params", SECTION.model_dump_json(), "--base", Base().model_dump_json(),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "model"


def test_two_ranks_take_the_step_of_the_mean_gradient(tmp_path: Path) -> None:
    toy = degraded_set(tmp_path / "toy")
    found = read_tensors(by_two(tmp_path, toy) / "model.safetensors")
    choices = SECTION.variant("full")
    make_deterministic(1)
    torch.manual_seed(derive_seed("weights", 0))
    model = DisentanglementModel(choices).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=choices.learning_rate, weight_decay=choices.weight_decay)
    sampler = BatchSampler([toy], "train", choices, "train", 0)
    for step in range(2):
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate(step, 2, choices.learning_rate)
        optimiser.zero_grad()
        for number in (2 * step, 2 * step + 1):
            terms = training_terms(model, sampler.batch(number), training._noise(choices, 0, step, number))
            (training._total(terms, choices.loss.model_dump()) / 2).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training._CLIP)
        optimiser.step()
    for name, value in model.state_dict().items():
        assert torch.allclose(found[name], value, atol=1e-5), name
    history = (tmp_path / "model/history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history if ",train," in line] == ["1", "2"]
    assert json.loads((tmp_path / "model/model.json").read_text())["seed"] == 0


def test_alone_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    ranks = Ranks.join("cpu")
    assert (ranks.rank, ranks.world, ranks.device, ranks.first, ranks.batch(7)) == (0, 1, "cpu", True, 7)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    ranks.average([weight])
    ranks.leave()
    assert torch.equal(weight.grad, torch.ones(2))
