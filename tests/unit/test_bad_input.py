"""A catalogue of bad input: each case is really provoked, and what a user is then told is checked.

The table of docs/bad_input.md is made from it: python tests/unit/test_bad_input.py
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import re
import struct
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import yaml
from image_files import encode, png_chunk, tiff
from PIL import Image
from toy_datasets import (
    OPTIONS,
    PRISTINE,
    dataset,
    download_entry,
    entry,
    files_of,
    picture,
    png,
    read_table,
    scored_folder,
    tar_gz,
    write_registry,
    write_table,
)

from causaliqa.cli import main
from causaliqa.config import Fetch, load_params
from causaliqa.datasets.archives import Limits, unpack
from causaliqa.datasets.download import Settings, obtain
from causaliqa.datasets.fetch import Places, fetch_dataset
from causaliqa.datasets.raw import RawSet, read_raw_manifest
from causaliqa.datasets.registry import load_registry
from causaliqa.datasets.splits import import_splits, read_splits
from causaliqa.datasets.validate import require_valid, validate
from causaliqa.errors import CausalIQAError, ConfigError, DataError
from causaliqa.images import read_image

DOCS = Path(__file__).resolve().parents[2] / "docs/bad_input.md"
#: Downloads that give up at once.
HASTY = Settings(attempts=2, read_timeout_s=0.1, sleep=lambda _: None)
#: An address at which nobody may listen.
NOWHERE = "https://example.org/toy.tar"
DMOS = {"kind": "dmos", "higher_is_better": False}


class Printed(Exception):
    """What a command wrote after `error:` before it stopped with status 1."""


@dataclass(frozen=True)
class Case:
    """One kind of bad input.

    Attributes
    ----------
    group : heading in the docs.
    title : what is wrong, in plain words.
    provoke : does it in an empty folder, through what a user calls; warnings are returned, everything else is raised.
    expected : type that is raised; None for warnings.
    says : pattern of the message, as :func:`shortened`.
    names : the file, key or dataset that the message must name before its remedy.
    """

    group: str
    title: str
    provoke: Callable[[Path], Any]
    expected: type[Exception] | None
    says: str
    names: str


CASES: list[Case] = []


def case(
    group: str, title: str, expected: type[Exception] | None, says: str, names: str = "toy"
) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Put the function into the catalogue."""

    def add(provoke: Callable[[Path], Any]) -> Callable[[Path], Any]:
        CASES.append(Case(group, title, provoke, expected, says, names))
        return provoke

    return add


def shortened(message: str, folder: Path) -> str:
    """Return a message without what differs from run to run: the folder and the port; checksums by their beginning."""
    message = message.replace(f"{folder}{os.sep}", "…/").replace(str(folder), "…")
    message = re.sub(r"http://127\.0\.0\.1:\d+", "http://localhost", message)
    return re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1…", message)


# --- what the cases are made with -----------------------------------------------------------------------------------


def bring(
    folder: Path,
    values: dict[str, Any],
    *,
    mirror: Path | None = None,
    settings: Settings = HASTY,
    out: str = "raw/toy",
    **params: Any,
) -> Path:
    """Fetch an entry as `toy`, with settings that do not wait."""
    places = Places(folder / "downloads", folder / "checksums.json", mirror=None if mirror is None else str(mirror))
    section = Fetch(datasets=["pristine"], labelled=["toy"], **params)
    with mock.patch("causaliqa.datasets.fetch.obtain", functools.partial(obtain, settings=settings)):
        fetch_dataset("toy", dataset(folder, values), folder / out, section, places=places)
    return folder / out


def own(folder: Path, references: int = 2, levels: int = 2) -> Path:
    """Write a valid folder with scores."""
    return scored_folder(folder / "own", references, levels)


def edited(folder: Path, row: int = 0, **changes: str) -> Path:
    """Write a folder with scores and change one line of its table."""
    made = own(folder)
    rows = read_table(made)
    rows[row] |= changes
    write_table(made, rows)
    return made


def from_mirror(folder: Path, name: str, content: bytes, **archive: Any) -> Path:
    """Fetch a set of one archive that a mirror folder serves."""
    (folder / "mirror").mkdir(exist_ok=True)
    (folder / "mirror" / name).write_bytes(content)
    return bring(folder, download_entry({"name": name, **archive}), mirror=folder / "mirror")


def tar_of(*members: tarfile.TarInfo | str) -> bytes:
    """Return a tar; a text stands for a file of that name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if isinstance(member, str):
                info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
    return buffer.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in files.items():
            container.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


@contextlib.contextmanager
def served(
    body: bytes = b"", status: int = 200, announced: int | None = None, silent: bool = False
) -> Iterator[dict[str, Any]]:
    """Serve one file; yield its entry.

    Parameters
    ----------
    announced : Content-Length, if not that of the body.
    silent : never answer.
    """
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if silent:
                closing.wait(10)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
            self.end_headers()
            self.wfile.write(body)

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield {"name": "toy.tar", "urls": [f"http://127.0.0.1:{httpd.server_address[1]}/toy.tar"]}
    finally:
        closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def image(folder: Path, name: str, content: bytes) -> None:
    """Write a file and read it as an image."""
    (folder / name).write_bytes(content)
    read_image(folder / name)


def pristine(folder: Path, files: dict[str, bytes], **changes: Any) -> Path:
    """Fetch a folder of images without labels."""
    (folder / "own").mkdir()
    for name, content in files.items():
        (folder / "own" / name).write_bytes(content)
    return bring(folder, entry(folder / "own", **PRISTINE, **changes))


def fetched(folder: Path, made: Path | None = None, **changes: Any) -> Path:
    """Fetch a valid folder with scores, to be spoilt afterwards."""
    return bring(folder, entry(made or own(folder), **changes), out="fetched/toy")


def registry(folder: Path, **entries: Any) -> None:
    load_registry(write_registry(folder / "registry.yaml", **entries))


def command(*arguments: str | Path) -> None:
    """Run the command as in a terminal; raise what it prints after `error:`."""
    written = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(written):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            if end.code == 1 and (found := re.search(r"^error: (.*)\n\Z", written.getvalue(), re.M | re.S)):
                raise Printed(found[1]) from end
            raise


def warned(folder: Path) -> list[str]:
    """Validate; return the warnings of a set without problems."""
    found = validate(folder)
    require_valid(found)
    warnings: list[str] = found["warnings"]
    return warnings


# --- downloads ------------------------------------------------------------------------------------------------------

GROUP = "Downloads"


@case(
    GROUP, "The checksum differs from the registry's", DataError, "has SHA-256 .*, not 00000000… of the registry; put"
)
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", b"not what was announced", sha256="0" * 64)


@case(
    GROUP,
    "The file on the mirror has changed since it was first used",
    DataError,
    "toy.tar: has SHA-256 .*, not .* of the first download, see …/checksums.json; put the right file on the mirror",
)
def _(folder: Path) -> None:
    values = download_entry({"name": "toy.tar"}, **PRISTINE)
    (folder / "mirror").mkdir()
    # Of equal size, so that only the checksum tells.
    for number, out in enumerate(("first/toy", "raw/toy")):
        pixels = tarfile.TarInfo("a.pgm")
        pixels.size = 13
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(pixels, io.BytesIO(b"P5 2 1 255\n\0" + bytes([number])))
        (folder / "mirror/toy.tar").write_bytes(buffer.getvalue())
        bring(folder, values, mirror=folder / "mirror", out=out)


@case(
    GROUP, "The size differs from the registry's", DataError, "toy.tar: has 3 bytes, not the 1000 of the registry; put"
)
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", b"abc", size=1000)


@case(GROUP, "The mirror's list of checksums names another", DataError, "not ffffffff… of the mirror's SHA256SUMS; put")
def _(folder: Path) -> None:
    (folder / "mirror").mkdir()
    (folder / "mirror/SHA256SUMS").write_text(f"{'f' * 64}  toy.tar\n")
    from_mirror(folder, "toy.tar", b"abc")


@case(
    GROUP, "The mirror lacks the file", DataError, r"not served to everyone \(…/mirror/toy.tar: not there\); to obtain"
)
def _(folder: Path) -> None:
    (folder / "mirror").mkdir()
    values = download_entry({"name": "toy.tar", "urls": [], "manual": "ask the authors"})
    bring(folder, values, mirror=folder / "mirror")


@case(GROUP, "The mirror's folder is not there", ConfigError, "toy: CAUSALIQA_MIRROR: …/gone: no such folder; mount")
def _(folder: Path) -> None:
    bring(folder, download_entry({"name": "toy.tar"}), mirror=folder / "gone")


@case(GROUP, "The mirror is neither folder nor address", Printed, "CAUSALIQA_MIRROR: ftp://.*neither.*; correct it")
def _(folder: Path) -> None:
    path = write_registry(folder / "registry.yaml", toy=download_entry({"name": "toy.tar"}))
    with mock.patch.dict(os.environ, CAUSALIQA_MIRROR="ftp://example.org/pub"):
        command("data", "fetch", "toy", "--registry", path, "--root", folder / "raw", "--downloads", folder / "cache")


@case(
    GROUP,
    "The file must be obtained by hand and is not there yet",
    DataError,
    "toy: toy.zip is not served to everyone; to obtain it: fill in the form at example.org; then put the file at "
    "…/downloads/toy.zip, or set CAUSALIQA_MIRROR",
)
def _(folder: Path) -> None:
    bring(folder, download_entry({"name": "toy.zip", "urls": [], "manual": "fill in the form at example.org."}))


@case(
    GROUP, "A file put into the downloads by hand is the wrong one", DataError, "downloads/toy.zip: has 3 bytes.*; put"
)
def _(folder: Path) -> None:
    (folder / "downloads").mkdir()
    (folder / "downloads/toy.zip").write_bytes(b"abc")
    bring(folder, download_entry({"name": "toy.zip", "urls": [], "manual": "ask the authors", "size": 99}))


@case(
    GROUP,
    "The server does not know the file (404)",
    DataError,
    r"toy: toy.tar cannot be downloaded \(http://localhost/toy.tar: answers 404\); check the network",
)
def _(folder: Path) -> None:
    with served(status=404) as archive:
        bring(folder, download_entry(archive))


@case(GROUP, "The server fails again and again (500)", DataError, "toy.tar: answers 500, 2 times.*; check the network")
def _(folder: Path) -> None:
    with served(status=500) as archive:
        bring(folder, download_entry(archive))


@case(
    GROUP, "The server does not answer in time", DataError, "toy.tar: no answer in time, 2 times.*; check the network"
)
def _(folder: Path) -> None:
    with served(silent=True) as archive:
        bring(folder, download_entry(archive))


@case(
    GROUP, "The transfer ends too early", DataError, "toy.tar: the connection broke off.*, 2 times.*; check the network"
)
def _(folder: Path) -> None:
    with served(b"x" * 300, announced=1000) as archive:
        bring(folder, download_entry(archive))


@case(GROUP, "A web page comes instead of the archive", DataError, "answers with a web page .*, not the file.*; check")
def _(folder: Path) -> None:
    with served(b"<!DOCTYPE html><html><body>Please log in</body></html>") as archive:
        bring(folder, download_entry(archive))


@case(
    GROUP, "The server sends a file of another size", DataError, "the file has 300 bytes, not the 1000 of the registry"
)
def _(folder: Path) -> None:
    with served(b"x" * 300) as archive:
        bring(folder, download_entry({**archive, "size": 1000}))


@case(GROUP, "The disk is too small for the download", DataError, "toy.tar needs 11.00 GB, 1.00 GB are free; free some")
def _(folder: Path) -> None:
    with served(announced=5 * 10**9) as archive:
        bring(folder, download_entry(archive), settings=HASTY.model_copy(update={"free_bytes": lambda _: 10**9}))


@case(GROUP, "The disk gets full", CausalIQAError, "^…/raw/toy/manifest.csv: the disk is full; free some space and run")
def _(folder: Path) -> None:
    made = own(folder)
    full = OSError(errno.ENOSPC, "No space left on device")
    with mock.patch("causaliqa.datasets.fetch.shutil.copyfile", side_effect=full):
        bring(folder, entry(made))


@case(
    GROUP,
    "The record of first downloads is damaged",
    DataError,
    "checksums.json: not a record of checksums.*; restore",
    "checksums.json",
)
def _(folder: Path) -> None:
    (folder / "checksums.json").write_text("{")
    from_mirror(folder, "toy.tar", b"abc")


# --- archives -------------------------------------------------------------------------------------------------------

GROUP = "Archives"


@case(GROUP, "A tar.gz is cut off", DataError, r"^…/mirror/toy.tar.gz: truncated or corrupt .*; delete it and download")
def _(folder: Path) -> None:
    content = tar_gz(folder / "whole.tar.gz", files_of(own(folder))).read_bytes()
    from_mirror(folder, "toy.tar.gz", content[: len(content) // 2])


@case(GROUP, "A zip is cut off", DataError, "^…/mirror/toy.zip: truncated or corrupt .*; delete it and download")
def _(folder: Path) -> None:
    content = zip_of(files_of(own(folder)))
    from_mirror(folder, "toy.zip", content[: len(content) // 2])


@case(GROUP, "A rar is cut off", DataError, "^…/mirror/toy.rar: truncated or corrupt .*; delete it and download")
def _(folder: Path) -> None:
    from_mirror(folder, "toy.rar", b"Rar!\x1a\x07\x00")


@case(
    GROUP,
    "A member leads out of the folder (zip-slip)",
    DataError,
    r"toy.zip: member '../../slip.png' leads out .*; if",
)
def _(folder: Path) -> None:
    from_mirror(folder, "toy.zip", zip_of({"a.png": b"a", "../../slip.png": b"b"}))


@case(GROUP, "A member has an absolute path", DataError, "toy.tar: member '/slip.png' has an absolute path; if you")
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", tar_of("a.png", "/slip.png"))


@case(GROUP, "A member is a symbolic link", DataError, "toy.tar: member 'slip' is a link; if you trust it, unpack")
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", tar_of("a.png", special("slip", tarfile.SYMTYPE, "/etc")))


@case(GROUP, "A member is a hard link", DataError, "toy.tar: member 'slip' is a link; if you trust it, unpack")
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", tar_of("a.png", special("slip", tarfile.LNKTYPE, "../../checksums.json")))


@case(GROUP, "A member is a device", DataError, "toy.tar: member 'slip' is a device or a pipe; if you trust it, unpack")
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", tar_of("a.png", special("slip", tarfile.CHRTYPE)))


@case(
    GROUP, "A member blows up when it is unpacked (a bomb)", DataError, "'zeros' unpacks to more than 200 times.*; if"
)
def _(folder: Path) -> None:
    from_mirror(folder, "toy.zip", zip_of({"zeros": bytes(70_000_000)}))


@case(GROUP, "There are too many members", DataError, "^…/toy.zip: has more than 100 members; if you trust it, unpack")
def _(folder: Path) -> None:
    (folder / "toy.zip").write_bytes(zip_of({str(number): b"" for number in range(101)}))
    unpack(folder / "toy.zip", folder / "raw/toy", Limits(max_members=100))


@case(
    GROUP,
    "Two members differ in case alone",
    DataError,
    "toy.tar: member 'A.PNG' occurs twice, perhaps in another case",
)
def _(folder: Path) -> None:
    from_mirror(folder, "toy.tar", tar_of("a.png", "A.PNG"))


@case(
    GROUP, "A zip is encrypted", DataError, "toy.zip: member 'a.png' is encrypted; if you trust it, unpack it by hand"
)
def _(folder: Path) -> None:
    content = bytearray(zip_of({"a.png": b"secret"}))
    content[6] |= 1  # flags of the file's header
    content[content.index(b"PK\1\2") + 8] |= 1  # and of its entry in the directory
    from_mirror(folder, "toy.zip", bytes(content))


@case(
    GROUP, "The file is of a kind that is not unpacked", DataError, "toy.7z: not an archive that can be .*; pack it as"
)
def _(folder: Path) -> None:
    (folder / "toy.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    unpack(folder / "toy.7z", folder / "raw/toy")


# --- images ---------------------------------------------------------------------------------------------------------

GROUP = "Images"


@case(
    GROUP, "An image is cut off", DataError, r"^…/a.png: not a readable image .*truncated\); replace the file", "a.png"
)
def _(folder: Path) -> None:
    image(folder, "a.png", png(picture(0))[:-30])


@case(GROUP, "An image inside an archive cannot be read", DataError, r"^toy: a.png: not a readable image .*; replace")
def _(folder: Path) -> None:
    tar_gz(folder / "mirror/toy.tar.gz", {"a.png": b"text"})
    bring(folder, download_entry({"name": "toy.tar.gz"}, **PRISTINE), mirror=folder / "mirror")


@case(
    GROUP,
    "A file of one's own folder is no image",
    DataError,
    "^…/own/a.png: not a readable image .*; replace",
    "a.png",
)
def _(folder: Path) -> None:
    pristine(folder, {"a.png": b"text"})


@case(GROUP, "The image is not there", DataError, "^…/a.png: no such image; check the path", "a.png")
def _(folder: Path) -> None:
    read_image(folder / "a.png")


@case(
    GROUP,
    "Pixels are transparent",
    DataError,
    "^…/a.png: has transparent pixels; composite it .* image_rules.alpha",
    "a.png",
)
def _(folder: Path) -> None:
    image(folder, "a.png", encode(Image.new("RGBA", (8, 8), (1, 2, 3, 4))))


@case(
    GROUP, "The image is CMYK", DataError, "^…/a.jpg: is a CMYK image; convert it to RGB .* image_rules.cmyk", "a.jpg"
)
def _(folder: Path) -> None:
    image(folder, "a.jpg", encode(Image.new("CMYK", (8, 8), (1, 2, 3, 4)), "JPEG"))


@case(
    GROUP, "The header announces a huge image", DataError, "^…/a.png: 100000x100000 pixels, more than .*; crop", "a.png"
)
def _(folder: Path) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    image(folder, "a.png", b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IEND", b""))


@case(GROUP, "A float image holds NaN", DataError, "^…/a.tif: holds NaN or infinite values; replace them", "a.tif")
def _(folder: Path) -> None:
    image(folder, "a.tif", tiff(np.array([[0.5, np.nan]], np.float32)))


@case(GROUP, "A float image holds infinity", DataError, "^…/a.tif: holds NaN or infinite values; replace them", "a.tif")
def _(folder: Path) -> None:
    image(folder, "a.tif", tiff(np.array([[0.5, np.inf]], np.float32)))


@case(
    GROUP, "A float image has no data range", DataError, "^toy: a.tif: float pixels have no full scale.*; declare image"
)
def _(folder: Path) -> None:
    pristine(folder, {"a.tif": tiff(np.full((8, 8), 0.5, np.float32))})


@case(
    GROUP,
    "A pixel lies above the declared data range",
    DataError,
    "^toy: a.tif: a pixel has the value 5000, above the declared data range 4095; correct image_rules.data_range",
)
def _(folder: Path) -> None:
    pristine(folder, {"a.tif": tiff(np.full((8, 8), 5000, np.uint16))}, image_rules={"data_range": 4095})


@case(
    GROUP, "A pixel is negative", DataError, "own/a.tif: a pixel has the value -1, below 0; shift the values", "a.tif"
)
def _(folder: Path) -> None:
    pristine(folder, {"a.tif": tiff(np.full((8, 8), -1, np.float32))}, image_rules={"data_range": 1})


@case(GROUP, "The image has several pages", DataError, "^…/a.tif: holds 3 frames; save the one to be judged", "a.tif")
def _(folder: Path) -> None:
    image(folder, "a.tif", tiff(np.zeros((3, 8, 8), np.uint8), photometric="minisblack"))


@case(GROUP, "The image is animated", DataError, "^…/a.webp: holds 2 frames; save the one to be judged", "a.webp")
def _(folder: Path) -> None:
    frames = [Image.fromarray(picture(seed)) for seed in (0, 1)]
    image(folder, "a.webp", encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]))


@case(
    GROUP,
    "Integers have a sign",
    DataError,
    "^…/a.tif: holds signed values of 16 bits .*; save it as unsigned",
    "a.tif",
)
def _(folder: Path) -> None:
    image(folder, "a.tif", tiff(np.zeros((8, 8), np.int16)))


# --- folders and labels ---------------------------------------------------------------------------------------------

GROUP = "Folders and labels"


@case(
    GROUP,
    "There are not as many images as the registry says",
    DataError,
    "^toy: has 4 distorted, the registry says 24;",
)
def _(folder: Path) -> None:
    bring(folder, entry(own(folder), counts={"references": 2, "distorted": 24}))


@case(
    GROUP,
    "An image is listed twice, in another case",
    DataError,
    "scores.csv: .*: dist/r0_1.png is listed twice; remove",
    "scores.csv",
)
def _(folder: Path) -> None:
    made = own(folder)
    rows = read_table(made)
    write_table(made, [*rows, {**rows[0], "image": "DIST/R0_1.PNG"}])
    bring(folder, entry(made))


@case(
    GROUP,
    "A label has no image",
    DataError,
    r"^toy: listed images that are not there: 1 \(dist/r0_1.png\); complete the copy, or",
)
def _(folder: Path) -> None:
    made = own(folder)
    (made / "dist/r0_1.png").unlink()
    bring(folder, entry(made))


@case(
    GROUP,
    "A reference is missing",
    DataError,
    r"^toy: listed images that are not there: 3 \(ref1.png, the reference ref1 of",
)
def _(folder: Path) -> None:
    made = own(folder)
    (made / "ref1.png").unlink()
    bring(folder, entry(made))


@case(GROUP, "None of the listed images is there", DataError, "^toy: none of the 6 listed images is in …/own; complete")
def _(folder: Path) -> None:
    made = own(folder)
    for path in made.rglob("*.png"):
        path.unlink()
    bring(folder, entry(made), on_missing="skip")


@case(
    GROUP,
    "An image has no label",
    None,
    r"^images without a row \(no label\): 1 \(images/dist/extra.png\); add",
    "extra.png",
)
def _(folder: Path) -> list[str]:
    made = own(folder)
    (made / "dist/extra.png").write_bytes(png(picture(9)))
    tar_gz(folder / "mirror/toy.tar.gz", files_of(made))
    values = download_entry({"name": "toy.tar.gz"})
    return warned(bring(folder, values, mirror=folder / "mirror", out="fetched/toy"))


@case(
    GROUP,
    "Two files are the same image",
    None,
    r"^files that are copies of others: 1 \(.*r0_2.png = images/.*\); check",
    "r0_2.png",
)
def _(folder: Path) -> list[str]:
    made = own(folder)
    (made / "dist/r0_2.png").write_bytes((made / "dist/r0_1.png").read_bytes())
    return warned(fetched(folder, made))


@case(GROUP, "A score is NaN", DataError, "scores.csv: dist/r0_1.png: the score is nan; remove the row", "scores.csv")
def _(folder: Path) -> None:
    bring(folder, entry(edited(folder, score="nan")))


@case(GROUP, "A score is a text", DataError, "scores.csv: dist/r0_1.png: 'good' is not a number; repair", "scores.csv")
def _(folder: Path) -> None:
    bring(folder, entry(edited(folder, score="good")))


@case(
    GROUP,
    "The scores point the other way than declared",
    None,
    r"^the labels look reversed: .* declared is 'higher is worse'; check labels.higher_is_better in the registry",
    "labels",
)
def _(folder: Path) -> list[str]:
    return warned(fetched(folder, own(folder, references=4, levels=6), labels=DMOS))


@case(
    GROUP,
    "Scores lie outside the declared range",
    None,
    "^scores outside the declared range .*: 4; check labels.range",
    "scores",
)
def _(folder: Path) -> list[str]:
    return warned(fetched(folder, labels={"kind": "mos", "higher_is_better": True, "range": [1, 5]}))


@case(
    GROUP,
    "An image and its reference differ in size",
    DataError,
    "^toy: dist/r1_2.png is 36x36 and .* 40x40.*; replace",
)
def _(folder: Path) -> None:
    made = own(folder)
    (made / "dist/r1_2.png").write_bytes(png(picture(1, size=36)))
    bring(folder, entry(made))


@case(GROUP, "The layout is unknown", ConfigError, "^toy: unknown layout 'foldr'; did you mean 'folder'")
def _(folder: Path) -> None:
    bring(folder, entry(own(folder), layout="foldr"))


@case(
    GROUP,
    "The folder is not in the layout",
    DataError,
    "^…/own: not in the layout 'tid2013': mos_with_names.*; check",
    "own",
)
def _(folder: Path) -> None:
    bring(folder, entry(own(folder), layout="tid2013", options={}))


@case(
    GROUP,
    "An option of the reader is unknown",
    ConfigError,
    "^toy: layout folder: option tables: .*; its options are: table",
)
def _(folder: Path) -> None:
    bring(folder, entry(own(folder), options={"tables": "x"}))


@case(
    GROUP, "The table lacks a column", DataError, "scores.csv: lacks the columns mos; it has image, ref", "scores.csv"
)
def _(folder: Path) -> None:
    bring(folder, entry(own(folder), options={**OPTIONS, "score": "mos"}))


@case(
    GROUP, "A line of the table is too short", DataError, "scores.csv: line 6 has too few fields; repair", "scores.csv"
)
def _(folder: Path) -> None:
    made = own(folder)
    with (made / "scores.csv").open("a") as handle:
        handle.write("dist/x.png,ref0.png\n")
    bring(folder, entry(made))


@case(
    GROUP,
    "A path of the table leaves the folder",
    DataError,
    "scores.csv: ../../slip.png: '../../slip.png' is no file inside the dataset's folder; repair the label file",
    "scores.csv",
)
def _(folder: Path) -> None:
    bring(folder, entry(edited(folder, image="../../slip.png")))


@case(
    GROUP, "Two images would get one name", DataError, "own: a b.png and a_b.png would both be named a_b; rename", "own"
)
def _(folder: Path) -> None:
    pristine(folder, {"a b.png": png(picture(0)), "a_b.png": png(picture(1))})


@case(GROUP, "The folder holds no image", DataError, r"own: no image matches \*\*/\*; check the folder", "own")
def _(folder: Path) -> None:
    pristine(folder, {"readme.txt": b"text"})


@case(GROUP, "The folder is not there", DataError, "^toy: …/gone: no such folder; correct its folder in the registry")
def _(folder: Path) -> None:
    bring(folder, entry(folder / "gone"))


# --- registry, parameters and commands ------------------------------------------------------------------------------

GROUP = "Registry, parameters and commands"
REGISTRY = "^…/registry.yaml: toy"


@case(
    GROUP, "A name is not in the registry", Printed, "^…/registry.yaml: no dataset 'toys'; did you mean 'toy'", "toys"
)
def _(folder: Path) -> None:
    path = write_registry(folder / "registry.yaml", toy=entry(folder / "own"))
    command("fetch", "toys", "--registry", path, "--out", folder / "raw/toys")


@case(
    GROUP,
    "An entry with scores does not say what they are",
    ConfigError,
    f"{REGISTRY}: labels are declared for.*; correct",
)
def _(folder: Path) -> None:
    registry(folder, toy=entry(folder / "own", labels=None))


@case(
    GROUP,
    "An entry does not say which way scores point",
    ConfigError,
    f"{REGISTRY}.labels.higher_is_better: .*; correct",
)
def _(folder: Path) -> None:
    registry(folder, toy=entry(folder / "own", labels={"kind": "mos"}))


@case(
    GROUP,
    "An address is not http(s)",
    ConfigError,
    rf"{REGISTRY}.archives.0.urls.0: .*\^https\?://'; correct the entry",
)
def _(folder: Path) -> None:
    registry(folder, toy=download_entry({"name": "toy.zip", "urls": ["ftp://example.org/toy.zip"]}))


@case(
    GROUP,
    "An archive is to go outside its folder",
    ConfigError,
    f"{REGISTRY}.archives.0: .*into must stay inside.*; correct",
)
def _(folder: Path) -> None:
    registry(folder, toy=download_entry({"name": "toy.zip", "into": "../up"}))


@case(
    GROUP, "A key of an entry is misspelt", ConfigError, f"{REGISTRY}.licens: Extra inputs are not permitted; correct"
)
def _(folder: Path) -> None:
    registry(folder, toy=entry(folder / "own", licens="CC0-1.0"))


@case(
    GROUP,
    "A dataset's name holds other characters",
    ConfigError,
    "^…/registry.yaml: ../toy: names of datasets are .*; rename it",
)
def _(folder: Path) -> None:
    registry(folder, **{"../toy": entry(folder / "own")})


@case(
    GROUP, "The registry is not YAML", ConfigError, "^…/registry.yaml: not valid YAML .*; correct it", "registry.yaml"
)
def _(folder: Path) -> None:
    (folder / "registry.yaml").write_text("toy: [")
    load_registry(folder / "registry.yaml")


@case(
    GROUP, "The registry is not there", ConfigError, "^…/registry.yaml: no such file; check the path", "registry.yaml"
)
def _(folder: Path) -> None:
    load_registry(folder / "registry.yaml")


@case(
    GROUP,
    "A dataset stands under two keys of fetch",
    ConfigError,
    "^…/params.yaml: fetch: toy stands .*once; name it once",
)
def _(folder: Path) -> None:
    values = {"fetch": {"datasets": ["toy"], "labelled": ["toy"]}, "pretrain": {"scenarios": {"toy": ["toy"]}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    load_params(folder / "params.yaml")


@case(
    GROUP,
    "A folder is added without saying which way scores point",
    Printed,
    "^toy: say what the scores mean: --higher",
)
def _(folder: Path) -> None:
    path = write_registry(folder / "registry.yaml")
    command("data", "add", "toy", own(folder), "--table", "scores.csv", "--registry", path)


@case(
    GROUP,
    "A folder is added under a name that is taken",
    Printed,
    "registry.yaml: 'toy' is there already; choose another",
)
def _(folder: Path) -> None:
    path = write_registry(folder / "registry.yaml", toy=entry(folder / "own"))
    command("data", "add", "toy", folder, "--registry", path)


@case(
    GROUP, "No dataset is here yet", Printed, "^…/none: no dataset is here; bring one in: causaliqa data fetch", "none"
)
def _(folder: Path) -> None:
    command("data", "verify", "--root", folder / "none")


# --- fetched datasets -----------------------------------------------------------------------------------------------

GROUP = "Fetched datasets and splits"


@case(
    GROUP,
    "The manifest was edited",
    Printed,
    "^toy: problems: 1, the first: …/fetched/toy/manifest.csv: is not the one that was written with .*; delete",
)
def _(folder: Path) -> None:
    path = fetched(folder) / "manifest.csv"
    path.write_text(path.read_text().replace("0.25", "0.5", 1))
    command("validate", path.parent, "--out", folder / "raw/found.json")


@case(
    GROUP,
    "A line of the manifest is damaged",
    DataError,
    "manifest.csv: line 3: too few fields; delete .* and fetch it",
)
def _(folder: Path) -> None:
    path = fetched(folder) / "manifest.csv"
    path.write_text(path.read_text()[:300])
    read_raw_manifest(path.parent)


@case(
    GROUP,
    "An image was changed",
    CausalIQAError,
    "images/ref0.png: does not match its checksum in manifest.csv; delete",
)
def _(folder: Path) -> None:
    made = fetched(folder)
    (made / "images/ref0.png").write_bytes(png(picture(9)))
    require_valid(validate(made))


@case(
    GROUP,
    "An image was deleted",
    CausalIQAError,
    "^toy: problems: 1, the first: .*dist/r0_1.png: no such image; delete",
)
def _(folder: Path) -> None:
    made = fetched(folder)
    (made / "images/dist/r0_1.png").unlink()
    require_valid(validate(made))


@case(
    GROUP, "The description is damaged", DataError, "dataset.json: is not the description of a fetched dataset; delete"
)
def _(folder: Path) -> None:
    made = fetched(folder)
    (made / "dataset.json").write_text("{}")
    RawSet(made)


@case(
    GROUP,
    "The splits were edited",
    DataError,
    "splits.json: its splits are not those of its hash; fetch",
    "splits.json",
)
def _(folder: Path) -> None:
    path = fetched(folder, own(folder, references=4)) / "splits.json"
    path.write_text(path.read_text().replace('"ref0"', '"ref9"', 1))
    read_splits(path)


@case(
    GROUP,
    "A published split shares a reference between its parts",
    DataError,
    "^…/test.npy: split published-00: 'lake' is both in train and in test; a split by .*: divide it anew",
    "test.npy",
)
def _(folder: Path) -> None:
    np.save(folder / "train.npy", np.array([0]))
    np.save(folder / "test.npy", np.array([1]))
    arrays = {part: folder / f"{part}.npy" for part in ("train", "test")}
    import_splits(arrays, ["lake_1.png", "lake_2.png"], ["lake", "lake"])


@case(
    GROUP,
    "A published split is a pickle, which could run code",
    Printed,
    "^…/train.npy: not a readable .*; down",
    "train.npy",
)
def _(folder: Path) -> None:
    np.save(folder / "train.npy", np.array([{"any": "object"}], dtype=object), allow_pickle=True)
    np.save(folder / "test.npy", np.array([1]))
    made = fetched(folder)
    parts = [text for part in ("train", "test") for text in (f"--{part}", folder / f"{part}.npy")]
    command("data", "splits", made.name, "--root", made.parent, *parts)


@case(
    GROUP,
    "A published split names an image that does not exist",
    DataError,
    "names image 7, the order has 2.*; give",
    "test.npy",
)
def _(folder: Path) -> None:
    for part, number in (("train", 0), ("test", 7)):
        np.save(folder / f"{part}.npy", np.array([number]))
    import_splits({part: folder / f"{part}.npy" for part in ("train", "test")}, ["a.png", "b.png"], ["a", "b"])


# --- the tests ------------------------------------------------------------------------------------------------------

#: What a remedy begins with or holds: something to do, or what would be right.
_REMEDY = re.compile(
    r"\b(add|ask|bring|check|choose|complete|composite|convert|correct|crop|declare|delete|did you mean|divide|"
    r"download|fetch|free|give|known are|mount|name|pack|put|remove|rename|repair|replace|restore|save|say|set|shift|"
    r"to obtain|unpack|its options are|it has|the copy is not complete)\b"
)


def told(item: Case, folder: Path) -> str:
    """Return what a user is told, without what differs from run to run."""
    if item.expected is None:
        (line,) = item.provoke(folder)
    else:
        with pytest.raises(item.expected) as caught:
            item.provoke(folder)
        # A subclass would be another promise to callers.
        assert type(caught.value) is item.expected
        line = str(caught.value)
    return shortened(line, folder)


@pytest.mark.parametrize("item", CASES, ids=lambda item: item.title)
def test_bad_input_is_told_in_one_line_with_place_and_remedy(item: Case, tmp_path: Path) -> None:
    message = _HEARD[item.title] = told(item, tmp_path)
    assert re.search(item.says, message), message
    assert message.isprintable(), "not one line"
    problem, _, remedy = message.partition("; ")
    if not remedy:
        problem, _, remedy = message.partition(": ")
    assert item.names in problem
    assert _REMEDY.search(remedy), "no remedy"

    assert not list((tmp_path / "raw").glob("*")), "a part of the dataset is left"
    left = [path for path in tmp_path.rglob("*") if re.search(r"slip|\.tmp$|^\.unpack|^\.top$", path.name)]
    assert not left, "a temporary file is left, or one that should never have been written"


def test_the_catalogue_is_whole() -> None:
    titles = [item.title for item in CASES]
    assert len(titles) >= 40
    assert len(set(titles)) == len(titles)


# --- the docs -------------------------------------------------------------------------------------------------------

#: Messages by title, as far as they have been heard: a case is not provoked again for the docs.
_HEARD: dict[str, str] = {}


def tables(heard: dict[str, str]) -> str:
    """Return the Markdown tables of docs/bad_input.md."""
    lines: list[str] = []
    for group in dict.fromkeys(item.group for item in CASES):
        lines += [f"\n## {group}\n", "| case | what is said |", "|---|---|"]
        for item in CASES:
            if item.group == group:
                kind = " *(warning)*" if item.expected is None else ""
                lines.append(f"| {item.title}{kind} | `{heard[item.title].replace('|', chr(92) + '|')}` |")
    return "\n".join(lines) + "\n"


def _hear(folder: Path) -> dict[str, str]:
    for number, item in enumerate(CASES):
        if item.title not in _HEARD:
            (folder / str(number)).mkdir()
            _HEARD[item.title] = told(item, folder / str(number))
    return _HEARD


def test_the_docs_hold_what_is_said(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    stale = "docs/bad_input.md is stale: run python tests/unit/test_bad_input.py"
    assert text.endswith(tables(_hear(tmp_path))), stale
    assert text.count("\n## ") == len({item.group for item in CASES}), stale


def _renew() -> None:
    introduction = DOCS.read_text(encoding="utf-8").partition("\n## ")[0]
    with tempfile.TemporaryDirectory() as folder:
        DOCS.write_text(introduction + tables(_hear(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    _renew()
