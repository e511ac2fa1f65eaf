"""Stored sets of degraded images: a manifest and one shard a reference.

A shard is a Parquet file of encoded PNG bytes, one row an image: a set of 10^5 images is then some hundred files,
and a reader holds one shard at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.pairs import Pair
from causaliqa.errors import DataError
from causaliqa.images import decode_image, encode_png
from causaliqa.io import read_parquet, sha256_bytes, write_parquet

#: Columns of ``manifest.parquet``, in order.
#:
#: dataset, domain : str
#: image : str, unique in the set, ``<reference>/<distortion>/<level>``; a reference is ``<reference>/reference/0``
#: reference : str, the content; also the stem of its shard
#: distortion : str, ``reference``, a type, or ``type@level+type@level`` for a composition
#: level : int, 0 for a reference, 1 to 5 of a type, 0 for a composition
#: parent : str, image that a composition started from (its first step); empty otherwise
#: partition : str, ``train | val | test``, one for all images of a reference
#: grayscale : bool
#: bit_depth : int, of the stored stimulus
#: sha256 : str, of the encoded bytes
MANIFEST_COLUMNS = [
    "dataset",
    "domain",
    "image",
    "reference",
    "distortion",
    "level",
    "parent",
    "partition",
    "grayscale",
    "bit_depth",
    "sha256",
]


def shard_path(folder: Path, reference: str) -> Path:
    """Return where the shard of a reference lies."""
    return Path(folder) / "shards" / f"{reference}.parquet"


def write_shard(folder: Path, reference: str, stimuli: dict[str, np.ndarray]) -> dict[str, str]:
    """Write one reference's images; return the SHA-256 of each image's encoded bytes by its name.

    Parameters
    ----------
    stimuli : image name to uint8 array (H, W) or (H, W, 3).
    """
    encoded = {name: encode_png(stimulus) for name, stimulus in stimuli.items()}
    write_parquet(shard_path(folder, reference), pd.DataFrame({"image": list(encoded), "png": list(encoded.values())}))
    return {name: sha256_bytes(content) for name, content in encoded.items()}


class DegradedSet:
    """A stored set of degraded images.

    Parameters
    ----------
    folder : the folder that stage ``degrade`` wrote.

    Raises
    ------
    DataError
        If the manifest or a shard is missing, truncated or does not match its checksum.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_parquet(self.folder / "manifest.parquet")
        if missing := [name for name in MANIFEST_COLUMNS if name not in self.manifest.columns]:
            raise DataError(f"{self.folder / 'manifest.parquet'}: lacks {', '.join(missing)}; run stage degrade again")
        self._digest: dict[str, str] = dict(zip(self.manifest["image"], self.manifest["sha256"], strict=True))
        self._shard = functools.lru_cache(maxsize=2)(self._read_shard)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self.manifest["dataset"].iloc[0])

    @property
    def references(self) -> list[str]:
        """Names of the references, sorted."""
        return sorted(self.manifest["reference"].unique())

    def _read_shard(self, reference: str) -> dict[str, bytes]:
        path = shard_path(self.folder, reference)
        try:
            table = read_parquet(path, columns=["image", "png"])
        except DataError as error:
            # The stage makes the folder as a whole: deleting the one file would not bring it back.
            reason = str(error).split(";")[0]
            raise DataError(f"{reason}; delete {self.folder} and run stage degrade again") from None
        return dict(zip(table["image"], table["png"], strict=True))

    def stimulus(self, image: str) -> np.ndarray:
        """Return one image, uint8, (H, W) or (H, W, 3), after checking its bytes."""
        reference = image.split("/", 1)[0]
        path = shard_path(self.folder, reference)
        content = self._shard(reference).get(image)
        if content is None:
            raise DataError(f"{path}: lacks image {image!r}; delete {self.folder} and run stage degrade again")
        if sha256_bytes(content) != self._digest.get(image):
            raise DataError(
                f"{path}: image {image!r} does not match its checksum; delete {self.folder} and run stage degrade again"
            )
        return decode_image(content, f"{path}:{image}").values

    def of_reference(self, reference: str) -> pd.DataFrame:
        """Return the manifest rows of one reference, in the manifest's order."""
        return self.manifest[self.manifest["reference"] == reference].reset_index(drop=True)

    def pairs(self, reference: str) -> Iterator[Pair]:
        """Yield the pairs of a reference, itself included; stimuli are uint8."""
        pristine = self.stimulus(f"{reference}/{REFERENCE}/0")
        for image in self.of_reference(reference)["image"]:
            yield Pair(image, pristine, self.stimulus(image), 255.0)
