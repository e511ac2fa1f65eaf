"""Add a folder of one's own to the registry, once its labels have been read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from causaliqa.datasets.names import IMAGE_SUFFIXES, REFERENCE
from causaliqa.datasets.readers import read_layout
from causaliqa.datasets.registry import LocalDataset, load_registry
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import write_text


def add_local(
    registry: Path,
    name: str,
    folder: Path,
    *,
    table: str | None,
    columns: dict[str, str | None],
    images: str,
    higher_is_better: bool | None,
    domain: str,
    title: str,
    data_range: float | None,
    licence: str,
) -> str:
    """Append an entry for a folder to the registry; nothing else of the file changes.

    Parameters
    ----------
    registry : file to append to.
    table : CSV with the scores, relative to `folder`; None makes it a pool of pristine images.
    columns : column of ``image``, ``reference`` (None for a blind set), ``score`` and ``distortion`` (None: no types).
    images : sub-folder that the paths of the table are relative to.
    higher_is_better : direction of the scores; required with a table, never guessed.
    data_range : value that means white, if it is not the container's full range.

    Returns
    -------
    What was added, and how to use it.

    Raises
    ------
    ConfigError
        If the name is taken or not a name, or the direction is not given.
    DataError
        If the folder or its table cannot be read, or lists no image.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
        raise ConfigError(f"{name!r}: names of datasets are lower-case letters, digits and _; choose another name")
    if name in load_registry(registry):
        raise ConfigError(f"{registry}: {name!r} is there already; choose another name or edit the entry")
    if table is not None and higher_is_better is None:
        raise ConfigError(f"{name}: say what the scores mean: --higher-is-better (MOS) or --higher-is-worse (DMOS)")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds the images")
    entry = _entry(folder, table, columns, images, higher_is_better, domain, title, data_range, licence)
    try:
        dataset = LocalDataset.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    references = scored = missing = 0
    for row in read_layout(dataset.layout, folder, dataset.options):
        references += row.distortion == REFERENCE
        scored += row.distortion != REFERENCE
        missing += not (folder / row.image).is_file()
    if references + scored == 0:
        raise DataError(f"{folder}: no image found; images end in {', '.join(IMAGE_SUFFIXES)}")
    text = registry.read_text(encoding="utf-8")
    if not load_registry(registry):
        text = ""  # an empty mapping is written {}, which nothing can be appended to
    block = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=116)
    write_text(registry, (text.rstrip("\n") + "\n" if text else "") + block)
    key = "labelled" if dataset.kind == "full_reference" else "blind"
    lines = [f"{name}: added to {registry}: {references} references, {scored} images with a score"]
    if missing:
        lines.append(f"note: {missing} listed images are not in {folder}; fetch will stop on them (fetch.on_missing)")
    if dataset.kind == "pristine":
        lines += [
            f"train a metric on it: write {name}.yaml",
            f"  fetch: {{datasets: [{name}]}}",
            f"  pretrain: {{scenarios: {{all_domains: null, natural: null, {name}: [{name}]}}}}",
            f"then run:  snakemake --cores all --configfile {name}.yaml",
            f"and score: causaliqa score REFERENCE IMAGE --metric results/project/{name}/full/0/metric.safetensors",
        ]
    else:
        lines.append(
            f"bring it in and judge every method on it:  snakemake --cores all --config 'fetch={{{key}: [{name}]}}'"
        )
    return "\n".join(lines)


def _entry(
    folder: Path, table: str | None, columns: dict[str, str | None], images: str, higher_is_better: bool | None,
    domain: str, title: str, data_range: float | None, licence: str,
) -> dict[str, Any]:  # fmt: skip
    kind = "pristine" if table is None else ("full_reference" if columns["reference"] else "blind")
    entry: dict[str, Any] = {
        "title": title,
        "version": "1",
        "kind": kind,
        "domain": domain,
        "source": "local",
        "redistribution": False,
        "licence": licence,
        "folder": str(folder),
    }
    if table is None:
        entry["layout"] = "pristine"
    else:
        options = {key: value for key, value in columns.items() if key != "distortion" or value}
        entry["layout"] = "folder"
        entry["options"] = {"table": table, **options, **({"images": images} if images else {})}
        entry["labels"] = {"kind": "mos" if higher_is_better else "dmos", "higher_is_better": higher_is_better}
    if data_range is not None:
        entry["image_rules"] = {"data_range": data_range}
    return entry
