"""Make a trained metric part of the package: its weights, and a card with what is needed to train it again."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import causaliqa
from causaliqa.config import Params
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import sha256_bytes, sha256_file, write_bytes, write_json
from causaliqa.metric import DisentanglementMetric, load_metric, read_card, weights_folder
from causaliqa.workflow.closure import code_of

#: A packaged metric lies in git and in every wheel.
MAX_BYTES = 8_000_000
#: Sections of the configuration that decide about a metric's numbers.
_SECTIONS = ("base", "degrade", "pretrain", "embed", "project")
#: Verbs whose code does.
_VERBS = ("degrade", "pretrain", "embed", "project")
_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow")


def code_digest() -> str:
    """Return the SHA-256 of the source files, names and contents, that decide about a metric's numbers."""
    root = Path(causaliqa.__file__).parent
    files = code_of(root, *(f"causaliqa.cli.{verb}" for verb in _VERBS))
    lines = [f"{sha256_file(path)}  {path.relative_to(root).as_posix()}\n" for path in files]
    return sha256_bytes("".join(lines).encode())


def pack(
    metric: Path, name: str, out: Path, *, params: Params, data: Path = Path("data"), command: str | None = None
) -> Path:
    """Write ``NAME.safetensors``, the same bytes as `metric`, and its card ``NAME.json``; return the first.

    Parameters
    ----------
    metric : written by stage ``project``.
    name : lower-case letters, digits and ``_``.
    out : folder to write; :func:`causaliqa.metric.weights_folder` for the package itself.
    params : the configuration that the metric was trained with.
    data : the project's data: the card names the manifests in ``raw`` and ``degraded``, of which each holds the
        checksums of all its images.
    command : what made the metric; default: the pipeline's command for this file.

    Raises
    ------
    ConfigError
        If the name is not one, or the metric was not trained with `params`.
    DataError
        If the metric is larger than :data:`MAX_BYTES`, or a manifest of its datasets is missing.
    ModelError
        If it is no metric.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
        raise ConfigError(f"--name: {name!r}: use lower-case letters, digits and _")
    loaded = load_metric(Path(metric))
    content = Path(metric).read_bytes()
    if len(content) > MAX_BYTES:
        raise DataError(
            f"{metric}: {len(content) / 1e6:.1f} MB; a packaged metric is at most {MAX_BYTES / 1e6:.0f} MB: lower "
            "pretrain.width"
        )
    about = loaded.about
    _require_fit(str(metric), about, params)
    own = params.model_dump(mode="json", include=set(_SECTIONS))
    own["base"]["seeds"] = [about["seed"]]
    own["pretrain"]["scenarios"] = {about["scenario"]: own["pretrain"]["scenarios"][about["scenario"]]}
    own["pretrain"]["variants"] = {about["variant"]: own["pretrain"]["variants"][about["variant"]]}
    place = f"results/project/{about['scenario']}/{about['variant']}/{about['seed']}/metric.safetensors"
    card = _description(loaded, content) | {
        "name": name,
        "params": own,
        "datasets": {dataset: _manifests(data, dataset) for dataset in about["datasets"]},
        "command": command or f"snakemake --cores all {place}",
        "code": code_digest(),
        "commit": _commit(),
        "versions": {
            "causaliqa": causaliqa.__version__,
            "python": platform.python_version(),
            **{library: version(library) for library in _LIBRARIES},
        },
    }
    target = Path(out) / f"{name}.safetensors"
    # The card last: weights whose card is an older one are refused, not used.
    write_bytes(target, content)
    write_json(target.with_suffix(".json"), card)
    return target


def describe(path: Path) -> dict[str, Any]:
    """Return the card of a packaged metric, verified, or what any other metric file says of itself in the same keys.

    Raises
    ------
    DataError, ModelError
        As :func:`causaliqa.metric.load_metric`.
    """
    loaded = load_metric(path)
    card = _description(loaded, Path(path).read_bytes())
    card["datasets"] = {dataset: {} for dataset in loaded.about["datasets"]}
    return card | read_card(path) if Path(path).parent == weights_folder() else card


def _description(metric: DisentanglementMetric, content: bytes) -> dict[str, Any]:
    about = metric.about
    return {
        "sha256": sha256_bytes(content),
        "bytes": len(content),
        "parameters": sum(parameter.numel() for parameter in metric.model.parameters()),
        "projections": list(metric.projections),
        "train_references": len(about["train_references"]),
        **{key: about[key] for key in ("scenario", "variant", "seed", "choices", "percentile", "default")},
    }


def _require_fit(name: str, about: dict[str, Any], params: Params) -> None:
    """Refuse a configuration that would train another metric: its card would be wrong."""
    scenario, variant = about["scenario"], about["variant"]
    if scenario not in params.pretrain.scenarios or variant not in params.pretrain.variants:
        raise ConfigError(
            f"{name}: was trained as {scenario}/{variant}, which the configuration lacks; name its preset"
        )
    expected = params.pretrain.variant(variant).model_dump(mode="json")
    differing = [f"pretrain.{key}" for key, value in about["choices"].items() if expected.get(key) != value]
    if params.pretrain.scenarios[scenario] != about["datasets"]:
        differing.append(f"pretrain.scenarios.{scenario}")
    if params.embed.percentile != about["percentile"]:
        differing.append("embed.percentile")
    if params.project.methods[0] != about["default"]:
        differing.append("project.methods")
    if differing:
        raise ConfigError(
            f"{name}: was trained with another {', '.join(differing)}; name the preset that it was made by"
        )


def _manifests(data: Path, dataset: str) -> dict[str, str]:
    files = {
        "raw": data / "raw" / dataset / "manifest.csv",
        "degraded": data / "degraded" / dataset / "manifest.parquet",
    }
    for path in files.values():
        if not path.is_file():
            raise DataError(
                f"{path}: missing; its checksum belongs to the card: run pack in the project, or name --data"
            )
    return {kind: sha256_file(path) for kind, path in files.items()}


def _commit() -> str | None:
    """Return the commit of the source tree that this code lies in; None outside of one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(causaliqa.__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
