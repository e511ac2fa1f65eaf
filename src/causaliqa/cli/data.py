"""Verbs ``data list | show | fetch | verify | add | splits``: what exists, what is here, how to get the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causaliqa.cli.options import Jobs

if TYPE_CHECKING:
    from causaliqa.datasets.registry import Dataset

app = typer.Typer(
    help="What datasets exist, which are here, how to get the others, and whether they are what they should be.",
    no_args_is_help=True,
)

_Registry = Annotated[Path, typer.Option(help="The registry file.")]
_Root = Annotated[Path, typer.Option(help="Where fetched datasets lie.")]
_Downloads = Annotated[Path, typer.Option(help="Where downloaded archives are kept.")]
REGISTRY, ROOT, DOWNLOADS = Path("data/registry.yaml"), Path("data/raw"), Path("data/downloads")


def _how(dataset: Dataset) -> str:
    from causaliqa.datasets.registry import BundledDataset, LocalDataset

    if isinstance(dataset, BundledDataset):
        return "bundled"
    if isinstance(dataset, LocalDataset):
        return "folder"
    if all(archive.urls for archive in dataset.archives):
        return "download"
    steps = [archive.manual or "" for archive in dataset.archives if not archive.urls]
    return "mirror" if all("CAUSALIQA_MIRROR" in text for text in steps) else "by hand"


def _size(dataset: Dataset) -> str:
    from causaliqa.datasets.registry import BundledDataset

    if isinstance(dataset, BundledDataset):
        return f"{len(dataset.images)} references"
    counts = dataset.counts
    parts = [f"{n} {what}" for n, what in ((counts.references, "references"), (counts.distorted, "scored")) if n]
    return ", ".join(parts) or "size not stated"


@app.command("list")
def list_datasets(
    registry: _Registry = REGISTRY,
    root: _Root = ROOT,
    kind: Annotated[str | None, typer.Option(help="Only this kind: pristine, full_reference or blind.")] = None,
) -> None:
    """List every dataset of the registry: kind, domain, size, how it comes, whether it is here."""
    from causaliqa.datasets.registry import KINDS, load_registry
    from causaliqa.errors import ConfigError

    if kind is not None and kind not in KINDS:
        raise ConfigError(f"--kind: {kind!r} is none of {', '.join(KINDS)}")
    for name, dataset in load_registry(registry).items():
        if kind is None or dataset.kind == kind:
            here = "here" if (root / name / "manifest.csv").is_file() else "-"
            typer.echo(
                f"{name:28} {dataset.kind:15} {dataset.domain:20} {_size(dataset):30} {_how(dataset):9} {here:5}"
                f" {dataset.title}"
            )
    typer.echo("\nHow to get one:    causaliqa data show NAME\nBring one in:      causaliqa data fetch NAME")


@app.command("show")
def show_dataset(
    name: Annotated[str, typer.Argument(help="Name in the registry.")],
    registry: _Registry = REGISTRY,
    root: _Root = ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the entry as JSON.")] = False,
) -> None:
    """Show one dataset: what it is, its labels and terms, where its files come from, what is here."""
    from causaliqa.datasets.registry import BundledDataset, LocalDataset, find_dataset

    dataset = find_dataset(name, registry)
    if as_json:
        typer.echo(json.dumps(dataset.model_dump(mode="json"), indent=2))
        return
    typer.echo(f"{name}: {dataset.title} (version {dataset.version}, {dataset.kind}, domain {dataset.domain})")
    if isinstance(dataset, BundledDataset):
        for image in dataset.images:
            window = f", values {image.window[0]} to {image.window[1]}" if image.window else ""
            typer.echo(f"  {image.name:14} {image.licence:36} {image.origin}{window}")
    else:
        lines = [("size", _size(dataset)), ("layout", f"{dataset.layout} {dataset.options or ''}".strip())]
        if dataset.labels is not None:
            direction = "higher is better" if dataset.labels.higher_is_better else "higher is worse"
            span = f", {dataset.labels.range[0]:g} to {dataset.labels.range[1]:g}" if dataset.labels.range else ""
            lines.append(("labels", f"{dataset.labels.kind}, {direction}{span}. {dataset.labels.text}".strip()))
        lines += [("licence", dataset.licence), ("terms", dataset.terms), ("cite", dataset.citation)]
        lines.append(("note", dataset.note))
        for key, text in lines:
            if text:
                typer.echo(f"  {key:9} {text}")
        if isinstance(dataset, LocalDataset):
            typer.echo(f"  folder    {dataset.folder}")
        else:
            for archive in dataset.archives:
                size = f", {archive.size / 1e6:,.0f} MB" if archive.size else ""
                known = "checksum known" if archive.sha256 else "checksum recorded at the first download"
                typer.echo(f"  file      {archive.name}{size}, {known}")
                for url in archive.urls:
                    typer.echo(f"            {url}")
                if archive.manual:
                    typer.echo(f"            {archive.manual}")
    folder = root / name
    if (folder / "manifest.csv").is_file():
        typer.echo(f"  here      {folder}; check it: causaliqa data verify {name}")
    else:
        typer.echo(f"  missing   bring it in: causaliqa data fetch {name}")


@app.command("fetch")
def fetch_dataset(
    names: Annotated[list[str], typer.Argument(help="Names in the registry.")],
    registry: _Registry = REGISTRY,
    root: _Root = ROOT,
    downloads: _Downloads = DOWNLOADS,
    on_missing: Annotated[str, typer.Option(help="A listed image is not there: error, or skip.")] = "error",
    jobs: Jobs = 1,
) -> None:
    """Bring datasets in, one after the other, outside the pipeline. What is here already is left alone.

    CAUSALIQA_MIRROR names a folder or an address that serves the archives by name; it is asked first. In the
    pipeline, name the dataset in params.yaml under fetch and run: snakemake --cores all stage_fetch

    Example: causaliqa data fetch tid2013 --jobs 2
    """
    from causaliqa.config import Fetch, parse_options
    from causaliqa.datasets.fetch import Places
    from causaliqa.datasets.fetch import fetch_dataset as fetch
    from causaliqa.datasets.registry import find_dataset

    entries = {name: find_dataset(name, registry) for name in names}
    params = parse_options(Fetch, {"datasets": names, "on_missing": on_missing})
    places = Places(downloads=downloads, record=registry.with_name("checksums.json"))
    for name, entry in entries.items():
        if (root / name / "manifest.csv").is_file():
            typer.echo(f"{name}: is here ({root / name}); delete the folder to fetch it again")
            continue
        about = fetch(name, entry, root / name, params, places=places, jobs=jobs)
        typer.echo(f"{name}: {about['rows']} images in {root / name}; check them: causaliqa data verify {name}")


@app.command("verify")
def verify_dataset(
    names: Annotated[list[str] | None, typer.Argument(help="Fetched datasets; default: all that are here.")] = None,
    root: _Root = ROOT,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with histograms and PSNR plots too: .html, or .md for docs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, one line a dataset.")] = False,
    jobs: Jobs = 1,
) -> None:
    """Read every image of fetched datasets again and hold the labels against PSNR; exit status 1 if one is not valid.

    Counts against the registry, checksums, unreadable files, sizes, duplicates, images without a label, a histogram
    of the scores, labels that look reversed, and the SRCC of PSNR by distortion beside the published value.
    """
    from causaliqa.datasets.validate import summary, validate
    from causaliqa.errors import DataError

    here = sorted(path.parent.name for path in root.glob("*/manifest.csv"))
    if not (chosen := names or here):
        raise DataError(f"{root}: no dataset is here; bring one in: causaliqa data fetch NAME")
    results = []
    for name in chosen:
        result = validate(root / name, jobs)
        results.append(result)
        typer.echo(json.dumps(result) if as_json else "\n".join(summary(result)))
    if page is not None:
        from causaliqa.report.validation import write_page

        write_page(page, results)
        typer.echo(f"page: {page}", err=True)
    if any(result["problems"] for result in results):
        raise typer.Exit(1)


@app.command("add")
def add_dataset(
    name: Annotated[str, typer.Argument(help="Name for the dataset: lower-case letters, digits and _.")],
    folder: Annotated[Path, typer.Argument(help="Folder with the images.")],
    table: Annotated[
        str | None, typer.Option(help="CSV with the scores, relative to the folder; none: a pristine pool.")
    ] = None,
    score: Annotated[str, typer.Option(help="Column with the score.")] = "score",
    image: Annotated[str, typer.Option(help="Column with the image's path.")] = "image",
    reference: Annotated[str, typer.Option(help="Column with the reference's path; '' for a blind set.")] = "reference",
    distortion: Annotated[str | None, typer.Option(help="Column with the distortion's name.")] = None,
    images: Annotated[str, typer.Option(help="Sub-folder that the paths are relative to.")] = "",
    higher_is_better: Annotated[
        bool | None,
        typer.Option("--higher-is-better/--higher-is-worse", help="Direction of the scores; never guessed."),
    ] = None,
    domain: Annotated[str, typer.Option(help="What the images show, e.g. radiography.")] = "other",
    title: Annotated[str, typer.Option(help="Title for tables.")] = "",
    data_range: Annotated[float | None, typer.Option(help="Value that means white, e.g. 4095 for 12 bits.")] = None,
    licence: Annotated[str, typer.Option(help="Terms of the images.")] = "not stated",
    registry: _Registry = REGISTRY,
) -> None:
    """Add a folder of one's own to the registry, after reading its labels to see that they can be read.

    Example: causaliqa data add weld_xray /images/weld --table scores.csv --score mos --higher-is-better
    """
    from causaliqa.datasets.add import add_local

    line = add_local(
        registry,
        name,
        folder,
        table=table,
        columns={"image": image, "reference": reference or None, "score": score, "distortion": distortion},
        images=images,
        higher_is_better=higher_is_better,
        domain=domain,
        title=title or name,
        data_range=data_range,
        licence=licence,
    )
    typer.echo(line)


@app.command("splits")
def import_splits(
    name: Annotated[str, typer.Argument(help="A fetched dataset.")],
    train: Annotated[Path, typer.Option(help=".npy with image indices, one row a split.")],
    test: Annotated[Path, typer.Option(help="The same for the test part.")],
    val: Annotated[Path | None, typer.Option(help="The same for the validation part.")] = None,
    order: Annotated[
        Path | None, typer.Option(help="Text file with the publisher's order of images, a name a line.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; default: NAME-splits.json.")] = None,
    root: _Root = ROOT,
) -> None:
    """Take over published splits, given as arrays of image indices, and refuse those that share a reference.

    Indices count the distorted images in the order of the published label file, or of --order.
    """
    from causaliqa.datasets.splits import published_splits

    count, target = published_splits(root / name, {"train": train, "val": val, "test": test}, order, out)
    typer.echo(f"{target}: {count} splits by reference")
