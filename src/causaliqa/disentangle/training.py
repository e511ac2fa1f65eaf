"""Training: deterministic, resumable to the byte, with progress and a learning curve."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from causaliqa.baselines.deep import WEIGHTS
from causaliqa.config import Base, PretrainChoices
from causaliqa.disentangle.batches import BatchSampler
from causaliqa.disentangle.losses import Noise, training_terms
from causaliqa.disentangle.model import DisentanglementModel, build_model
from causaliqa.disentangle.ranks import Ranks
from causaliqa.disentangle.stem import SqueezeStem
from causaliqa.errors import DataError, ModelError
from causaliqa.io import read_json, read_tensors, sha256_bytes, sha256_file, write_csv, write_json, write_tensors
from causaliqa.progress import progress
from causaliqa.seeding import derive_seed, make_deterministic, torch_generator

#: Batches of the validation set, the same at every validation.
_VALIDATION_BATCHES = 4
_CLIP = 1.0


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: linear warm-up over 5 % of the steps, then a cosine to 1 % of `peak`."""
    warm = max(1, round(0.05 * steps))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))


class _Checkpoint:
    """The state of a training between two steps, on disk.

    It lies outside the stage's outputs, because Snakemake and DVC delete these before they run a stage again. Its
    folder is named by everything that determines the training, so that a changed parameter never resumes.
    """

    def __init__(self, root: Path, identity: dict[str, Any]) -> None:
        self.folder = root / sha256_bytes(json.dumps(identity, sort_keys=True).encode())[:16]
        self.file = self.folder / "state.safetensors"

    def save(
        self, step: int, model: DisentanglementModel, optimiser: torch.optim.Optimizer, history: list[dict[str, Any]]
    ) -> None:
        state: dict[str, Tensor] = {f"model.{name}": value for name, value in model.state_dict().items()}
        for index, entry in optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{index}.{key}": value for key, value in entry.items()}
        history_bytes = json.dumps(history).encode()
        state["history"] = torch.frombuffer(bytearray(history_bytes), dtype=torch.uint8)
        state["step"] = torch.tensor(step)
        # One file, one rename: model, optimiser and curve can never be of different steps.
        write_tensors(self.file, state)

    def load(self, model: DisentanglementModel, optimiser: torch.optim.Optimizer) -> tuple[int, list[dict[str, Any]]]:
        if not self.file.is_file():
            return 0, []
        try:
            state = read_tensors(self.file)
            model.load_state_dict({key[6:]: value for key, value in state.items() if key.startswith("model.")})
            entries: dict[int, dict[str, Tensor]] = {}
            for key, value in state.items():
                if key.startswith("optimiser."):
                    _, index, name = key.split(".", 2)
                    entries.setdefault(int(index), {})[name] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": entries})
            return int(state["step"]), json.loads(bytes(state["history"].tolist()))
        except (DataError, KeyError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"{self.file}: the checkpoint cannot be used ({error}); delete {self.folder} and run again"
            ) from None

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _noise(choices: PretrainChoices, seed: int, step: int, batch: int) -> Noise | None:
    """Return the bottleneck's noise of a step and batch: it grows from zero over the first half of the training.

    Full noise from the start drowns an untrained code: the decoder learns to ignore it, and it collapses to zero.
    """
    if not choices.bottleneck:
        return None
    return Noise(torch_generator("bottleneck", seed, batch), min(1.0, 2 * step / choices.steps))


def _total(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    return torch.stack([weights[name] * value for name, value in terms.items() if weights[name] > 0]).sum()


def _row(step: int, split: str, terms: dict[str, float], weights: dict[str, float]) -> dict[str, Any]:
    return {"step": step, "split": split, "total": sum(weights[name] * value for name, value in terms.items()), **terms}


@torch.no_grad()
def _validate(model: DisentanglementModel, sampler: BatchSampler, device: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for index in range(_VALIDATION_BATCHES):
        for name, value in training_terms(model, _on(sampler.batch(index), device), None).items():
            sums[name] = sums.get(name, 0.0) + float(value) / _VALIDATION_BATCHES
    return sums


def pretrain(
    folders: Sequence[Path],
    out: Path,
    *,
    scenario: str,
    variant: str,
    seed: int,
    choices: PretrainChoices,
    base: Base,
    checkpoints: Path,
    pretrained: Path = WEIGHTS,
) -> None:
    """Train one disentanglement model; write ``model.safetensors``, ``model.json`` and ``history.csv`` to `out`.

    The last step's weights are kept: no score of any kind chooses among steps. Under ``torchrun`` every process draws
    batches of its own and the first one writes; see :mod:`causaliqa.disentangle.ranks`.

    Parameters
    ----------
    folders : degraded sets of the scenario.
    checkpoints : where the state between two steps is kept until the training is finished.
    pretrained : folder of converted weights, for the stem ``imagenet``.

    Raises
    ------
    DataError
        If a shard is corrupt or the references do not suffice.
    ModelError
        If a checkpoint is damaged, a loss is not finite, the stem's weights are missing, or CUDA is asked for and
        missing.
    """
    if base.device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "base.device: cuda, but torch finds no CUDA device; set it to cpu or install a CUDA build of torch"
        )
    make_deterministic(base.threads)
    ranks = Ranks.join(base.device)
    torch.manual_seed(derive_seed("weights", seed))
    model = DisentanglementModel(choices).to(ranks.device)
    if isinstance(model.degradation_encoder, SqueezeStem):
        model.degradation_encoder.load(pretrained)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a tenth faster on CPU
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=choices.learning_rate, weight_decay=choices.weight_decay)
    weights = choices.loss.model_dump()
    train = BatchSampler(folders, "train", choices, "train", seed)
    val = BatchSampler(folders, "val", choices, "val", seed)
    checkpoint = _Checkpoint(
        checkpoints,
        {
            "data": [sha256_file(Path(folder) / "manifest.parquet") for folder in folders],
            "choices": choices.model_dump(),
            "base": base.model_dump(exclude={"seeds"}),
            "seed": seed,
            "torch": torch.__version__,
            # One rank is no ranks: checkpoints of earlier versions stay valid.
            **({"ranks": ranks.world} if ranks.world > 1 else {}),
        },
    )
    start, history = checkpoint.load(model, optimiser)
    model.train()
    # The curve shows means over the steps since the last row: single batches differ too much. Rows fall on
    # checkpoints, so a resumed training starts with an empty mean as an undisturbed one does.
    recent: dict[str, float] = dict.fromkeys(weights, 0.0)
    since = 0
    name = f"pretrain {scenario}/{variant}/{seed}"
    with progress(total=choices.steps, initial=start, desc=name, unit="step", disable=not ranks.first) as bar:
        for step in range(start, choices.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, choices.steps, choices.learning_rate)
            number = ranks.batch(step)
            noise = _noise(choices, seed, step, number)
            terms = training_terms(model, _on(train.batch(number), ranks.device), noise)
            total = _total(terms, weights)
            if not torch.isfinite(total):
                bad = ", ".join(name for name, value in terms.items() if not torch.isfinite(value))
                raise ModelError(
                    f"pretrain step {step}: {bad or 'the total loss'} is not finite; lower pretrain.learning_rate"
                )
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            ranks.average(trained)
            torch.nn.utils.clip_grad_norm_(trained, _CLIP)
            optimiser.step()
            bar.update()
            bar.set_postfix(loss=f"{total.item():.3f}", refresh=False)
            recent = {name: recent[name] + value.item() for name, value in terms.items()}
            since += 1
            done = step + 1
            if not ranks.first:
                continue
            if done % choices.validate_every == 0 or done == choices.steps:
                history.append(_row(done, "train", {name: value / since for name, value in recent.items()}, weights))
                recent, since = dict.fromkeys(weights, 0.0), 0
                if val.usable:
                    history.append(_row(done, "val", _validate(model, val, ranks.device), weights))
                checkpoint.save(done, model, optimiser, history)
    ranks.leave()
    if not ranks.first:
        return
    write_csv(Path(out) / "history.csv", pd.DataFrame(history))
    write_json(
        Path(out) / "model.json",
        {
            "scenario": scenario,
            "variant": variant,
            "seed": seed,
            "datasets": [stored.name for stored in train.sets],
            "choices": choices.model_dump(),
            "train_references": [f"{train.sets[index].name}/{reference}" for index, reference in train.references],
            "parameters": sum(parameter.numel() for parameter in trained),
        },
    )
    write_tensors(Path(out) / "model.safetensors", model.state_dict())
    checkpoint.clear()


def _on(batch: Any, device: str) -> Any:
    if device == "cpu":
        return batch
    return type(batch)(**{name: value.to(device) for name, value in vars(batch).items()})


def load_model(folder: Path) -> tuple[DisentanglementModel, dict[str, Any]]:
    """Load a trained model in evaluation mode, and its description (``model.json``).

    Raises
    ------
    ModelError
        If the weights do not fit the description.
    DataError
        If a file is missing or corrupt.
    """
    description = read_json(Path(folder) / "model.json")
    model = build_model(description["choices"], read_tensors(Path(folder) / "model.safetensors"), str(folder))
    return model, description
