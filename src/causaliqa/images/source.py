"""An image as its file states it, and the way there from decoded samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causaliqa.errors import DataError
from causaliqa.images.rules import ImageRules

#: Images with more pixels than this are refused before they are decoded.
MAX_PIXELS = 200_000_000


@dataclass(frozen=True)
class SourceImage:
    """An image as its file states it.

    Attributes
    ----------
    values : array (H, W) or (H, W, 3), uint8, uint16 or float32, exactly as stored.
    bit_depth : 8, 16 or 32, bits of the container.
    data_range : value that means white, where the rules or the file itself declare one (a DICOM window, the maximum of
        a PGM, the precision of a JPEG 2000); else None.
    """

    values: np.ndarray
    bit_depth: int
    data_range: float | None = None

    @property
    def full_range(self) -> float | None:
        """Largest value the container can hold; None for float values, which have no such limit."""
        return float(2**self.bit_depth - 1) if self.values.dtype.kind == "u" else None

    @property
    def white(self) -> float:
        """Value that means white: the declared data range, else the container's full range.

        Raises
        ------
        DataError
            If the values are float and no data range is declared.
        """
        top = self.full_range if self.data_range is None else self.data_range
        if top is None:
            raise DataError("float values have no full range; declare data_range, the value that means white")
        return top

    def to_float(self, data_range: float | None = None) -> np.ndarray:
        """Return float32 in [0, 1]: values / `data_range`, default :attr:`white`.

        Raises
        ------
        DataError
            If a value is negative or exceeds `data_range` (then the declared range is wrong), or if the values are
            float and no range is declared.
        """
        top = self.white if data_range is None else float(data_range)
        if self.values.max(initial=0) > top:
            raise DataError(f"a pixel has the value {self.values.max()}, above the declared data range {top:g}")
        if self.values.min(initial=0) < 0:
            raise DataError(f"a pixel has the value {self.values.min()}, below 0; shift the values so that 0 is black")
        return np.asarray(self.values / top, dtype=np.float32)


@dataclass(frozen=True)
class Decoded:
    """Samples of one file before the rules are applied.

    Attributes
    ----------
    values : array (H, W) or (H, W, 3), uint8, uint16 or float32.
    alpha : array (H, W) of the same type, or None.
    alpha_kind : premultiplied: colours are already multiplied by alpha; unknown: a fourth sample without a meaning.
    orientation : EXIF orientation, 1 to 8.
    data_range : value that means white, where the file says so.
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    alpha_kind: Literal["straight", "premultiplied", "unknown"] = "straight"
    orientation: int = 1
    data_range: float | None = None


def finish(name: str, decoded: Decoded, rules: ImageRules) -> SourceImage:
    """Apply the rules for transparency, orientation and data range.

    Raises
    ------
    DataError
        If pixels are transparent and no rule says what is behind them, or a float value is not finite.
    """
    values = decoded.values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{name}: holds NaN or infinite values; replace them by valid ones")
    if decoded.alpha is not None:
        values = _without_alpha(name, decoded, decoded.alpha, rules)
    if rules.exif == "apply":
        values = _upright(values, decoded.orientation)
    data_range = decoded.data_range if rules.data_range is None else rules.data_range
    return SourceImage(np.ascontiguousarray(values), values.dtype.itemsize * 8, data_range)


def _without_alpha(name: str, decoded: Decoded, alpha: np.ndarray, rules: ImageRules) -> np.ndarray:
    values = decoded.values
    is_float = values.dtype.kind == "f"
    top = 1.0 if is_float else decoded.data_range or float(2 ** (values.dtype.itemsize * 8) - 1)
    if bool((alpha == top).all()):
        return values
    if decoded.alpha_kind == "unknown" and rules.alpha != "drop":
        raise DataError(
            f"{name}: has a further sample a pixel of unknown meaning; "
            "save it as gray or RGB, or declare image_rules.alpha: drop"
        )
    if rules.alpha == "refuse":
        raise DataError(
            f"{name}: has transparent pixels; composite it on the background it is meant for, "
            "or declare image_rules.alpha (black, white or drop)"
        )
    if rules.alpha == "drop":
        if decoded.alpha_kind == "premultiplied":
            raise DataError(
                f"{name}: its colours are multiplied by alpha, which dropping alpha does not undo; "
                "declare image_rules.alpha: black or white"
            )
        return values
    if is_float:
        raise DataError(f"{name}: has transparent pixels and float values; composite it on its background")
    weight = alpha.astype(np.uint32) if values.ndim == 2 else alpha.astype(np.uint32)[..., None]
    white = np.uint32(top)
    behind = (white - weight) * white if rules.alpha == "white" else np.uint32(0)
    ahead = values.astype(np.uint32) * (white if decoded.alpha_kind == "premultiplied" else weight)
    if bool((ahead > white * white - behind).any()):
        raise DataError(f"{name}: a premultiplied colour exceeds its alpha; save it with straight alpha")
    return over(ahead + behind, int(top), values.dtype)


def over(numerator: np.ndarray, top: int, dtype: np.dtype) -> np.ndarray:
    """Return numerator / top, rounded half away from zero.

    `numerator` is uint32 and at most top². Since `top` (2^n - 1) is odd, no quotient is a tie, and top² + top / 2
    still fits in 32 bits, so that integers give the rounded result exactly.
    """
    return np.asarray((numerator + np.uint32(top // 2)) // np.uint32(top), dtype=dtype)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels as the EXIF orientation says; a value outside 2 to 8 means as stored."""
    if orientation in (5, 6, 7, 8):
        values = np.swapaxes(values, 0, 1)
    # Where the stored rows and columns run to, after the swap of axes above.
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse an image by the size its header states.

    Raises
    ------
    DataError
        If it has no pixels, or more than `max_pixels`.
    """
    if width < 1 or height < 1:
        raise DataError(f"{name}: not a readable image ({width}x{height} pixels); replace the file")
    if width * height > max_pixels:
        raise DataError(f"{name}: {width}x{height} pixels, more than the limit of {max_pixels}; crop or tile it")


def check_frames(name: str, frames: int) -> None:
    """Refuse animations and stacks.

    Raises
    ------
    DataError
        If there is more than one frame.
    """
    if frames > 1:
        raise DataError(f"{name}: holds {frames} frames; save the one to be judged as its own file")


def look_up(
    name: str, indices: np.ndarray, palette: np.ndarray, rules: ImageRules, alphas: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Expand palette indices (H, W) by `palette` (N, 3), and by its `alphas` (N,) if there are any.

    Raises
    ------
    DataError
        If the rules refuse palettes, or an index has no colour.
    """
    if rules.palette == "refuse":
        raise DataError(f"{name}: is a palette image; save it as RGB, or declare image_rules.palette: expand")
    if int(indices.max()) >= len(palette):
        raise DataError(
            f"{name}: not a readable image (colour {indices.max()} of a palette of {len(palette)}); replace the file"
        )
    return palette[indices], None if alphas is None else alphas[indices]


def ink_to_rgb(name: str, inks: np.ndarray, rules: ImageRules) -> np.ndarray:
    """Convert CMYK (H, W, 4), uint8 or uint16, 0 meaning no ink, to RGB by the plain formula (1 - ink)(1 - black).

    Raises
    ------
    DataError
        If the rules refuse CMYK.
    """
    if rules.cmyk == "refuse":
        raise DataError(
            f"{name}: is a CMYK image; convert it to RGB with its colour profile, "
            "or declare image_rules.cmyk: convert (the plain formula)"
        )
    top = 2 ** (inks.dtype.itemsize * 8) - 1
    light = np.uint32(top) - inks.astype(np.uint32)
    return over(light[..., :3] * light[..., 3:], top, inks.dtype)
