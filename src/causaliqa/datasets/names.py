"""Names that every manifest uses: distortions that are none, image files, contents."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

#: A reference's own row.
REFERENCE = "reference"
#: An image that nobody degraded on purpose (blind datasets).
AUTHENTIC = "authentic"
#: Endings of image files, lower case.
IMAGE_SUFFIXES = (
    ".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".jp2", ".j2k", ".webp", ".dcm", ".pgm", ".ppm",
)  # fmt: skip


def content_name(path: str) -> str:
    """Return the name of a pristine image's content: its path without suffix, in lower case, slashes as ``__``.

    Other characters than letters, digits, ``_``, ``-`` and ``.`` become ``_``: the name is a file's stem later.
    """
    plain = PurePosixPath(path).with_suffix("").as_posix().lower().replace("/", "__")
    return re.sub(r"[^a-z0-9_.-]", "_", plain).lstrip("_.-") or "image"
