"""The configuration: one section a stage, every key described here and nowhere else.

``params.yaml``, the JSON schema that Snakemake validates against and the documentation of the keys all follow from
these models.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from causaliqa.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


def _distinct(values: list[Any]) -> list[Any]:
    if repeated := {value for value in values if values.count(value) > 1}:
        raise ValueError(f"{', '.join(map(str, sorted(repeated)))} stands there more than once; name it once")
    return values


Names = Annotated[
    list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]], Field(min_length=1), AfterValidator(_distinct)
]


OptionalNames = Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]], AfterValidator(_distinct)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


class Base(Section):
    """What every stage may use."""

    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)] = Field(
        [0], description="Training seeds; one model a seed."
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where models train and run.")
    threads: int = Field(1, ge=1, description="Threads of one training; part of what fixes the result's bytes.")


class Splits(Section):
    """Splits of a labelled dataset by reference (blind sets: by image); the rest of 1 is the test part."""

    count: int = Field(10, ge=1, le=1000, description="Number of random splits.")
    train: Fraction = Field(0.6, description="Share of references to fit on.")
    val: Fraction = Field(0.2, description="Share of references that choose hyper-parameters and epochs.")
    seed: int = Field(0, ge=0, description="Seed of the splits.")

    @model_validator(mode="after")
    def _leave_a_test_part(self) -> Splits:
        if self.train <= 0 or self.train + self.val >= 1:
            raise ValueError("train must be above 0 and train + val below 1, so that every part has references")
        return self


class Fetch(Section):
    """Stage fetch: which datasets are brought in."""

    datasets: Names = Field(description="Pristine sets of data/registry.yaml: they are degraded and trained on.")
    labelled: OptionalNames = Field(
        [], description="Full-reference sets with scores of people or of physics: methods are judged by them."
    )
    blind: OptionalNames = Field([], description="Sets with scores but without references.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Dataset name: options of its reader that differ from the registry's."
    )
    on_missing: Literal["error", "skip"] = Field(
        "error", description="A listed image is not there: stop, or leave it out and carry the count to every table."
    )
    splits: Splits = Field(default_factory=lambda: Splits(), description="Splits of the labelled and blind sets.")

    @model_validator(mode="after")
    def _once_each(self) -> Fetch:
        names = [*self.datasets, *self.labelled, *self.blind]
        _distinct(names)
        for name in self.options:
            if name not in names:
                raise ValueError(f"options.{name}: no such dataset is fetched{_nearest(name, names)}")
        return self


class Partition(Section):
    """How references are divided; the rest of 1 is the test part."""

    train: Fraction = Field(0.5, description="Share of references that models may see.")
    val: Fraction = Field(0.1, description="Share of references that watch training.")

    @model_validator(mode="after")
    def _leave_a_test_part(self) -> Partition:
        if self.train + self.val >= 1:
            raise ValueError("train + val must stay below 1, so that test references are left")
        return self


class Degrade(Section):
    """Stage degrade: synthetic degradations of pristine images."""

    size: int = Field(
        224, ge=64, description="Side in pixels of the square that references are reduced and cropped to."
    )
    types: Literal["all"] | Names = Field("all", description="Distortion types, or all of them.")
    levels: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=2), AfterValidator(_distinct)] = Field(
        [1, 2, 3, 4, 5], description="Severity levels, 1 just visible to 5 severe."
    )
    compositions: int = Field(10, ge=0, description="Chains of two degradations drawn for each reference.")
    partition: Partition = Field(default_factory=lambda: Partition(), description="Division of the references.")
    seed: int = Field(0, ge=0, description="Seed of noise patterns, compositions and the partition.")


class LossWeights(Section):
    """Weights of the training terms; 0 leaves a term out. See docs/method.md."""

    restore: Weight = Field(1.0, description="do(D:=0) on the distorted image gives the reference.")
    transfer: Weight = Field(1.0, description="do(D:=D_y) on the reference gives the distorted image.")
    recipe: Weight = Field(0.2, description="do(C:=C'), recipe kept: equal pooled degradation.")
    swap: Weight = Field(
        0.3, description="do(C:=C'), recipe kept: decoding D of another content gives its distorted image."
    )
    content: Weight = Field(0.2, description="Content invariance between reference and distorted image.")
    contrast: Weight = Field(0.1, description="InfoNCE: content tells images apart.")
    null: Weight = Field(
        0.1, description="Null degradation: energy of E_d(reference) relative to that of the distorted image."
    )
    energy: Weight = Field(0.002, description="Information bottleneck: energy of the masked degradation.")
    severity: Weight = Field(
        0.5, description="More severe of one type, and a composition against its first step, rank worse."
    )
    scaling: Weight = Field(0.2, description="do(D:=lambda D): the decoded image degrades monotonically in lambda.")
    ladder: Weight = Field(
        0.0, description="Across types, severities clearly apart on the calibrated scale rank in order."
    )
    consensus: Weight = Field(
        8.0, description="Across types and contents, crops whose order all teachers agree on rank in that order."
    )


class PretrainChoices(Section):
    """Every choice of the model and its training; variants override any of them."""

    width: int = Field(16, ge=4, le=256, description="Channels of the first encoder scale.")
    scales: int = Field(3, ge=2, le=5, description="Number of scales of degradation maps.")
    channels: int = Field(6, ge=1, le=64, description="Degradation channels a scale.")
    stem: Literal["scratch", "imagenet"] = Field(
        "scratch",
        description="What E_d looks through: an encoder of its own, or frozen SqueezeNet 1.1 (at most 4 scales).",
    )
    light: bool = Field(
        True, description="Measure degradation from the reference under the distorted image's contrast gain above 1."
    )
    mask: Literal["content", "features", "none", "random"] = Field(
        "content",
        description="Where the mask comes from: content features and local contrast of the reference, features alone, "
        "M=1, or a fixed random map.",
    )
    masking: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Exponent by which E_d's own response to the reference raises the threshold, for masks from "
        "content; 0 leaves that out.",
    )
    importance: float = Field(
        0.35,
        ge=0,
        le=2,
        description="Exponent by which the same response weighs a place when degradation is pooled over an image: "
        "people look where there is something to see; 0 weighs all places alike.",
    )
    bottleneck: bool = Field(True, description="Unit-variance noise on the masked degradation before decoding.")
    steps: int = Field(400, ge=1, description="Optimiser steps.")
    groups: int = Field(
        3, ge=2, description="Recipe groups in a batch; a group is two references with three degradations each."
    )
    crop: int = Field(96, ge=32, multiple_of=32, description="Side in pixels of a training crop.")
    learning_rate: float = Field(3e-3, gt=0, description="Peak learning rate of AdamW (one cycle).")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of AdamW.")
    validate_every: int = Field(50, ge=1, description="Steps between validations and checkpoints.")
    teachers: Annotated[
        list[Literal["mdsi", "vsi", "haarpsi", "fsimc"]], Field(min_length=1), AfterValidator(_distinct)
    ] = Field(
        ["mdsi", "vsi", "haarpsi", "fsimc"],
        description="Metrics whose agreement orders training crops; with loss.consensus 0 none is computed.",
    )
    without_types: Annotated[list[str], AfterValidator(_distinct)] = Field(
        [], description="Distortion types left out of training, alone and in compositions."
    )
    loss: LossWeights = Field(default_factory=lambda: LossWeights(), description="Weights of the training terms.")

    @property
    def stem_weights(self) -> list[str]:
        """Names in data/weights.yaml of the weights that the stem needs."""
        return ["squeezenet1_1"] if self.stem == "imagenet" else []

    @model_validator(mode="after")
    def _stem_has_scales(self) -> PretrainChoices:
        if self.stem == "imagenet" and self.scales > 4:
            raise ValueError("stem imagenet has 4 scales at most; lower scales")
        return self


def _one_variant() -> dict[str, dict[str, Any]]:
    return {"full": {}}


class Pretrain(PretrainChoices):
    """Stage pretrain: disentanglement models."""

    scenarios: dict[str, Names] = Field(
        description="Scenario name: datasets whose train references it learns from; a preset removes one by null.",
        min_length=1,
    )
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=_one_variant,
        min_length=1,
        description="Variant name: keys of this section it overrides; a preset removes one by null.",
    )

    @field_validator("scenarios", "variants", mode="before")
    @classmethod
    def _null_removes(cls, value: Any) -> Any:
        # A preset is laid over params.yaml key by key: null is how it takes a scenario or a variant away.
        return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _variants_are_whole(self) -> Pretrain:
        for name in (*self.scenarios, *self.variants):
            if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
                raise ValueError(f"{name!r}: names of scenarios and variants are lower-case letters, digits and _")
        for name in self.variants:
            self.variant(name)
        return self

    def variant(self, name: str) -> PretrainChoices:
        """Return the choices of one variant."""
        own = self.model_dump(include=set(PretrainChoices.model_fields))
        try:
            return PretrainChoices.model_validate(merge(own, self.variants[name]))
        except ValidationError as error:
            raise ValueError("; ".join(_explain(error, PretrainChoices, f"variants.{name}"))) from None


class Embed(Section):
    """Stage embed: features of image pairs."""

    percentile: float = Field(95.0, gt=50, lt=100, description="The high percentile among the pooled statistics.")


class Project(Section):
    """Stage project: label-free scores."""

    methods: Annotated[
        list[Literal["norm", "pc1", "mahalanobis", "severity", "consensus"]],
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = Field(["norm", "pc1", "mahalanobis"], description="Label-free projections; the first is the default metric's.")
    inductive: Annotated[list[Literal["isomap"]], AfterValidator(_distinct)] = Field(
        [], description="Manifolds fitted on synthetic pairs, scored on labelled sets: an ablation."
    )
    transductive: Annotated[list[Literal["isomap", "tsne"]], AfterValidator(_distinct)] = Field(
        [], description="Manifolds fitted on each labelled set's own pairs, without its labels: rows of their own."
    )
    manifold_seeds: int = Field(5, ge=1, description="Seeds of a manifold that draws at random, a row each.")
    manifold_points: int = Field(1000, ge=50, description="Synthetic pairs that span an inductive manifold.")


class Regress(Section):
    """Stage regress: few-label and supervised scores."""

    regressors: Annotated[list[Literal["ridge", "svr"]], Field(min_length=1), AfterValidator(_distinct)] = Field(
        ["ridge", "svr"], description="Regressors on the features."
    )
    label_counts: Annotated[list[Annotated[int, Field(ge=2)]], AfterValidator(_distinct)] = Field(
        [5, 10, 20, 50, 100], description="Sizes of the few-label sets."
    )
    draws: int = Field(10, ge=1, description="Random draws of labelled images for each size.")
    label_shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], AfterValidator(_distinct)] = Field(
        [0.01, 0.05, 0.1], description="Labelled sets: few-label sizes as shares of a split's train images."
    )
    labelled_regressors: Annotated[
        list[Literal["anchored", "ridge", "svr"]], Field(min_length=1), AfterValidator(_distinct)
    ] = Field(
        ["anchored", "ridge", "svr"],
        description="Labelled sets: heads; `anchored` bends the label-free distance instead of replacing it.",
    )
    labelled_draws: int = Field(1, ge=1, description="Labelled sets: draws of each size in each split.")
    labelled_most: int = Field(
        2000, ge=10, description="Labelled sets: images that one fit takes at the most, spread over references."
    )
    seed: int = Field(0, ge=0, description="Seed of the draws.")


class Baselines(Section):
    """Stage baselines: full-reference metrics and the consensus of some."""

    metrics: Names = Field(
        ["psnr", "ssim", "ms_ssim", "gmsd"], description="Metrics reported as baselines; deep ones fetch weights."
    )
    labelled_metrics: OptionalNames = Field(
        [], description="Metrics of labelled sets alone, beside `metrics`: the synthetic sets do without slow ones."
    )
    consensus: Annotated[Names, Field(min_length=2)] = Field(
        ["mdsi", "haarpsi", "vsi"],
        description="Metrics whose rank consensus is the pseudo-MOS; never reported as competitors.",
    )


class PublishedScores(Section):
    """A CSV of per-image scores that others have published: one row an image, one column a method."""

    csv: str = Field(min_length=1, description="The file.")
    higher_is_better: bool | dict[str, bool] = Field(
        description="Polarity of all its methods, or by method; declared, never guessed."
    )
    image: str = Field("image", description="Column of image names, matched by their stems.")
    opinion: str | None = Field("score_in_file", description="Column of opinions, which is not used; null: none.")
    methods: list[str] | None = Field(None, description="Columns to take; null: all others.")


class Evaluate(Section):
    """Stage evaluate: correlations, opinion-free tests, intervals."""

    bootstrap: int = Field(1000, ge=100, description="Bootstrap draws over references.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    preference_gap: float = Field(
        0.25, gt=0, lt=1, description="P-test: rank distance at which every consensus metric must agree."
    )
    preference_pairs: int = Field(20000, ge=100, description="P-test: pairs drawn at the most for each dataset.")
    roc_pairs: int = Field(
        200_000, ge=100, description="Krasula's analysis: pairs of images drawn at the most for each labelled set."
    )
    rank_averages: dict[str, Annotated[Names, Field(min_length=2)]] = Field(
        default_factory=dict,
        description="Name: scored metrics whose mean normalised rank within a dataset stands among the baselines.",
    )
    published: dict[str, PublishedScores] = Field(
        default_factory=dict, description="Labelled dataset: published per-image scores that stand beside ours."
    )
    gmad: list[Annotated[list[str], Field(min_length=2, max_length=2)]] | None = Field(
        None,
        description="Pairs of methods that attack each other; null: a label-free one and MDSI, if both are there.",
    )
    seed: int = Field(0, ge=0, description="Seed of bootstrap and pair draws.")

    @field_validator("rank_averages")
    @classmethod
    def _names(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, members in value.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name) or name in members:
                raise ValueError(f"{name!r}: use lower-case letters, digits and _, and no member's name")
        return value


class Audit(Section):
    """Stage audit: published per-image scores under every protocol in use. Without `scores` there is no such stage."""

    scores: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Folder with live.csv, csiq.csv, tid2013.csv, kadid10k.csv, pipal.csv, ivc.csv, or some of them; "
        "null: no audit. Relative paths start at the project.",
    )
    live_labels: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Folder with LIVE's dmos_realigned.mat and refnames_all.mat; live.csv needs it."
    )
    higher_is_better: bool = Field(
        False, description="Direction of the methods' scores; distances grow with distortion."
    )
    bootstrap: int = Field(1000, ge=100, description="Bootstrap draws, over references and over images.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    seed: int = Field(0, ge=0, description="Seed of the draws.")
    epochs: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="CSV of trainings (split, epoch, part, srcc; part val or test): what choosing the epoch is worth.",
    )

    @model_validator(mode="after")
    def _scores_first(self) -> Audit:
        if self.scores is None and (unread := [key for key in ("live_labels", "epochs") if getattr(self, key)]):
            raise ValueError(f"{' and '.join(unread)} would not be read without scores; set audit.scores")
        return self


class Report(Section):
    """Stage report: notebooks, figures, tables."""

    notebooks: Annotated[
        list[Literal["benchmark", "cross_domain", "datasets", "ablations", "audit"]],
        Field(min_length=1),
        AfterValidator(_distinct),
    ] = Field(
        ["benchmark", "cross_domain", "datasets"],
        description="Notebooks that are rendered; ablations joins them where there are several variants, audit once "
        "audit.scores is set.",
    )
    dpi: int = Field(144, ge=72, le=600, description="Resolution of the PNG figures.")


class Params(Section):
    """The whole of params.yaml."""

    base: Base = Field(default_factory=lambda: Base())
    fetch: Fetch
    degrade: Degrade = Field(default_factory=lambda: Degrade())
    pretrain: Pretrain
    embed: Embed = Field(default_factory=lambda: Embed())
    project: Project = Field(default_factory=lambda: Project())
    regress: Regress = Field(default_factory=lambda: Regress())
    baselines: Baselines = Field(default_factory=lambda: Baselines())
    evaluate: Evaluate = Field(default_factory=lambda: Evaluate())
    audit: Audit = Field(default_factory=lambda: Audit())
    report: Report = Field(default_factory=lambda: Report())

    @property
    def pages(self) -> list[str]:
        """Notebooks that are rendered: those of the report, and those of ablations and audit where there are such."""
        several = ["ablations"] if len(self.pretrain.variants) > 1 else []
        return list(dict.fromkeys([*self.report.notebooks, *several, *(["audit"] if self.audit.scores else [])]))

    @model_validator(mode="after")
    def _names_meet(self) -> Params:
        for scenario, datasets in self.pretrain.scenarios.items():
            for name in datasets:
                if name not in self.fetch.datasets:
                    near = _nearest(name, self.fetch.datasets)
                    raise ValueError(
                        f"pretrain.scenarios.{scenario}: dataset {name!r} is not among fetch.datasets{near}"
                    )
        scored = {*self.baselines.metrics, *self.baselines.labelled_metrics, *self.baselines.consensus}
        for name, members in self.evaluate.rank_averages.items():
            for member in members:
                if member not in scored:
                    where = f"the metrics of section baselines{_nearest(member, sorted(scored))}"
                    raise ValueError(f"evaluate.rank_averages.{name}: {member!r} is not among {where}")
        if "audit" in self.report.notebooks and not self.audit.scores:
            raise ValueError("report.notebooks: the page 'audit' needs audit.scores; set it, or take the page out")
        return self


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `overlay` laid over it, section by section; lists and scalars are replaced."""
    merged = copy.deepcopy(base)
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys that are valid in the section which `location`'s last part was written into."""
    current: Any = model
    for part in location[:-1]:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return []
        current = fields[part].annotation
    return list(getattr(current, "model_fields", {}))


def _explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    lines = []
    for item in error.errors():
        location = tuple(
            part
            for part in item["loc"]
            if not (isinstance(part, str) and part.startswith(("literal[", "function-", "list[")))
        )
        where = ".".join(str(part) for part in ((prefix, *location) if prefix else location))
        if item["type"] == "extra_forbidden":
            section = ".".join(where.split(".")[:-1]) or "the top level"
            lines.append(f"{where}: unknown key in {section}{_nearest(str(location[-1]), _fields_at(model, location))}")
        elif item["type"] == "missing":
            lines.append(f"{where}: this key is required")
        else:
            message = item["msg"].removeprefix("Value error, ")
            value = json.dumps(item["input"], default=str)
            lines.append(
                f"{where}: {message}" + (f" (found {value})" if where and len(value) < 60 else "") if where else message
            )
    return lines


def parse_params(values: Any, source: str) -> Params:
    """Validate a configuration.

    Parameters
    ----------
    values : what the YAML file holds.
    source : name of the file, for messages.

    Raises
    ------
    ConfigError
        Naming each bad key, its section and the nearest valid key.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: must hold sections (base, fetch, degrade, ...), not {type(values).__name__}")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(_explain(error, Params))) from None


def parse_section(model: type[S], text: str) -> S:
    """Validate one section given as JSON, as the pipeline's rules hand it to a verb."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError("--params: " + "; ".join(_explain(error, model))) from None


def parse_options(model: type[S], values: dict[str, Any]) -> S:
    """Validate one section that is made of a command's own options."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(error, model))) from None


def read_yaml(path: Path) -> Any:
    """Read YAML with the safe loader.

    Raises
    ------
    ConfigError
        If the file is missing or not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())}); correct it there") from None


def load_params(path: Path, *presets: Path) -> Params:
    """Read params.yaml and lay presets over it, in order."""
    values = read_yaml(path)
    for preset in presets:
        values = merge(values, read_yaml(preset))
    return parse_params(values, " + ".join(str(item) for item in (path, *presets)))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of params.yaml."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema()}
