"""Correlations that others published for whole databases, beside those measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from causaliqa.config import Section, read_yaml
from causaliqa.errors import ConfigError

#: The table of published values, see its head.
PUBLISHED = Path("data/published.yaml")
#: Coefficients that may be published there; PLCC is one after a fit.
TESTS = ("srcc", "krcc", "plcc")
#: Subsets of ours that stand beside the published value.
SUBSETS = ("all", "real_exact")
#: Columns of the table.
#:
#: ours, low, high, n : here; published, n_published : there; inside : whether the interval holds the published value
#: comparable : the same variant on as many images, none of them regenerated; reason : in words
LITERATURE_COLUMNS = [
    "dataset", "database", "subset", "method", "test", "ours", "low", "high", "n", "published", "n_published", "source",
    "seen", "variant", "inside", "comparable", "reason",
]  # fmt: skip

Coefficient = Annotated[float, Field(ge=-1, le=1)]


class Value(Section):
    """One method on one database."""

    method: str
    source: str
    seen: Literal["source", "secondary"]
    variant: str = ""
    srcc: Coefficient | None = None
    krcc: Coefficient | None = None
    plcc: Coefficient | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Value:
        if all(getattr(self, test) is None for test in TESTS):
            raise ValueError(f"{self.method}: holds none of {', '.join(TESTS)}")
        return self


class Database(Section):
    """One database: how many images the values are of, and which datasets here are it or a part of it."""

    title: str
    datasets: list[str]
    images: int = Field(ge=1)
    values: list[Value]


class Literature(Section):
    """The file."""

    sources: dict[str, str]
    databases: dict[str, Database]

    @model_validator(mode="after")
    def _sources_are_named(self) -> Literature:
        for name, database in self.databases.items():
            for value in database.values:
                if value.source not in self.sources:
                    raise ValueError(f"databases.{name}: {value.method}: source {value.source!r} is not under sources")
        return self


def read_literature(path: Path = PUBLISHED) -> Literature:
    """Read the table of published values.

    Raises
    ------
    ConfigError
        If the file is missing or not what it should be; the message names the key.
    """
    try:
        return Literature.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        text = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{path}: {where}: {text}; correct it there") from None


def published_beside(opinions: pd.DataFrame, path: Path = PUBLISHED) -> pd.DataFrame:
    """Return our values beside the published ones.

    A published value inside our interval is no proof, one outside no refutation, unless the images are the same:
    ``comparable`` and ``reason`` say what differs.

    Parameters
    ----------
    opinions : :data:`causaliqa.evaluate.opinion.OPINION_COLUMNS`.
    path : the table of published values.

    Returns
    -------
    DataFrame
        :data:`LITERATURE_COLUMNS`, by dataset, subset, method, test and source; no rows for methods that were not run
        here. `inside` is None without an interval.

    Raises
    ------
    ConfigError
        See :func:`read_literature`.
    """
    literature = read_literature(path)
    mine = opinions[
        (opinions["distortion"] == "") & opinions["subset"].isin(SUBSETS) & (opinions["setting"] == "baseline")
    ]
    regenerated = set(opinions.loc[opinions["subset"] == "near_resynth", "dataset"])
    rows: list[dict[str, Any]] = []
    for name, database in literature.databases.items():
        for value in database.values:
            chosen = mine[mine["dataset"].isin(database.datasets) & (mine["method"] == value.method)]
            for test in TESTS:
                published = getattr(value, test)
                if published is None:
                    continue
                for row in chosen[chosen["test"] == test].to_dict("records"):
                    stimuli = row["subset"] == "all" and row["dataset"] in regenerated
                    source = literature.sources[value.source]
                    rows.append(_row(row, name, database, value, float(published), source, stimuli))
    table = pd.DataFrame(rows, columns=LITERATURE_COLUMNS).astype({"inside": "boolean"})
    keys = ["dataset", "subset", "method", "test", "source"]
    return table.sort_values(keys, kind="stable", ignore_index=True)


def _row(
    ours: dict[Any, Any], name: str, database: Database, value: Value, published: float, source: str, regenerated: bool
) -> dict[str, Any]:
    low, high, n = float(ours["low"]), float(ours["high"]), int(ours["n_images"])
    inside = bool(low <= published <= high) if np.isfinite([low, high]).all() else None
    reasons = []
    if n < database.images:
        reasons.append(f"partial copy: {n} of {database.images} images")
    elif n > database.images:
        reasons.append(f"other images: {n} here, {database.images} there")
    if regenerated:
        reasons.append("regenerated stimuli among them")
    if value.variant:
        reasons.append(f"other variant: {value.variant}")
    reasons.append({True: "inside the interval", False: "outside the interval", None: "no interval"}[inside])
    return {
        "dataset": ours["dataset"], "database": name, "subset": ours["subset"], "method": value.method,
        "test": ours["test"], "ours": float(ours["value"]), "low": low, "high": high, "n": n, "published": published,
        "n_published": database.images, "source": source, "seen": value.seen, "variant": value.variant,
        "inside": inside, "comparable": n == database.images and not value.variant and not regenerated,
        "reason": "; ".join(reasons),
    }  # fmt: skip
