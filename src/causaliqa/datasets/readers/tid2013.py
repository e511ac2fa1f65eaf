"""TID2013 (Ponomarenko et al., Signal Processing: Image Communication 30, 2015): 25 references x 24 types x 5 levels.

``reference_images/I01.BMP``, ``distorted_images/i01_01_1.bmp``, ``mos_with_names.txt`` with lines
``5.51429 I01_01_1.bmp``, ``mos_std.txt`` in the same order; upper and lower case are mixed. Scores are MOS, 0 to 9,
higher is better. A partial copy holds fewer lines, and a ``provenance.csv`` (image, provenance).

Levels are the published ones. For mean shift (type 16) and contrast change (type 17) the sign of the change alternates
with the level, so these do not rise in severity from 1 to 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causaliqa.datasets.readers.base import (
    Files,
    Options,
    Row,
    Unique,
    number,
    parse_options,
    provenance_of,
    read_lines,
    read_provenance,
    with_references,
)
from causaliqa.errors import DataError

#: Names of the types 1 to 24.
TYPES = (
    "additive_gaussian_noise",
    "additive_noise_in_colour",
    "spatially_correlated_noise",
    "masked_noise",
    "high_frequency_noise",
    "impulse_noise",
    "quantization_noise",
    "gaussian_blur",
    "image_denoising",
    "jpeg",
    "jpeg2000",
    "jpeg_transmission_errors",
    "jpeg2000_transmission_errors",
    "non_eccentricity_pattern_noise",
    "local_blockwise_distortions",
    "mean_shift",
    "contrast_change",
    "colour_saturation_change",
    "multiplicative_gaussian_noise",
    "comfort_noise",
    "lossy_compression_of_noisy_images",
    "colour_quantization_with_dither",
    "chromatic_aberrations",
    "sparse_sampling_and_reconstruction",
)
_NAME = re.compile(r"i(\d\d)_(\d\d)_(\d)\.bmp", re.IGNORECASE)


class Tid2013Options(Options):
    """Options of the layout.

    Attributes
    ----------
    reference_25 : keep the synthetic image I25, the only one that is no photograph.
    """

    reference_25: bool = True


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(Tid2013Options, options, "tid2013")
    yield from with_references(_distorted(Files(folder), chosen))


def _distorted(files: Files, options: Tid2013Options) -> Iterator[tuple[Row, str]]:
    path, std_path = files.need("mos_with_names.txt", "tid2013"), files.need("mos_std.txt", "tid2013")
    provenance = read_provenance(files)
    unique = Unique()
    stds = read_lines(std_path)
    for where, text in read_lines(path):
        fields = text.split()
        if len(fields) != 2:
            raise DataError(f"{where}: {len(fields)} fields, not 2 (score and image); repair the line")
        name = unique.add(fields[1], where)
        if (match := _NAME.fullmatch(name)) is None:
            raise DataError(f"{where}: cannot tell the reference of {name!r}; names are like i01_01_1.bmp")
        content, kind, level = (int(part) for part in match.groups())
        if not (1 <= kind <= len(TYPES) and 1 <= level <= 5 and 1 <= content <= 25):
            raise DataError(f"{where}: {name}: references are 1 to 25, types 1 to 24, levels 1 to 5; repair the line")
        std_where, std = next(stds, ("", ""))
        if not std:
            raise DataError(f"{std_path}: has fewer lines than mos_with_names.txt; download it again")
        if content == 25 and not options.reference_25:
            continue
        row = Row(
            files.path(f"distorted_images/{name}", where),
            f"i{content:02d}",
            TYPES[kind - 1],
            level,
            number(fields[0], where),
            number(std, std_where),
            provenance_of(name, provenance),
        )
        yield row, files.path(f"reference_images/I{content:02d}.BMP")
    if next(stds, None) is not None:
        raise DataError(f"{std_path}: has more lines than mos_with_names.txt; download it again")
