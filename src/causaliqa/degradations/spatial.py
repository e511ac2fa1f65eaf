"""Spatial: displaced pixels and patches, mosaics, foreign blocks.

Displacement fields and positions do not depend on the strength: a stronger level displaces further or covers more,
and what a weaker level covers stays covered in the same way.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

#: Side of a copied patch and of a colour block, as a fraction of the image's shorter side.
PATCH_SIDE = 1 / 16
BLOCK_SIDE = 1 / 12
#: The most patches and blocks that any strength may ask for; so many positions are always drawn.
MAX_PATCHES = 400
MAX_BLOCKS = 60


def jitter(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Read every pixel from a randomly displaced position, bilinear interpolation.

    `strength` is the standard deviation of the displacement along each axis in pixels. Source: KADID-10k type 19
    (Lin, Hosu, Saupe, QoMEX 2019).
    """
    height, width = image.shape[:2]
    displacement = strength * rng.standard_normal((2, height, width))
    grid = np.mgrid[:height, :width] + displacement
    planes = [image] if image.ndim == 2 else [image[..., channel] for channel in range(image.shape[2])]
    moved = [ndimage.map_coordinates(plane, grid, order=1, mode="mirror", prefilter=False) for plane in planes]
    return np.asarray(moved[0] if image.ndim == 2 else np.stack(moved, axis=2), dtype=np.float32)


def non_eccentricity_patch(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Replace small patches by neighbouring ones: local structure is right but stands in the wrong place.

    `strength` is the number of patches, an integer; a patch's side is 1/16 of the image's shorter side and its source
    lies half a side to two sides away. Source: KADID-10k type 20, TID2013 type 14 (Ponomarenko et al., 2015).
    """
    side = _side(image, PATCH_SIDE)
    top, left = _corners(image, side, MAX_PATCHES, rng)
    angle = rng.uniform(0.0, 2.0 * np.pi, MAX_PATCHES)
    reach = side * rng.uniform(0.5, 2.0, MAX_PATCHES)
    dy, dx = np.rint(reach * np.sin(angle)).astype(int), np.rint(reach * np.cos(angle)).astype(int)
    height, width = image.shape[:2]
    result = image.copy()
    # Backwards, so that the first patch lies on top: a patch of a weaker level is never covered by a later one.
    for i in reversed(range(int(strength))):
        # A source beyond the border is mirrored to the other side of the patch.
        y = top[i] + dy[i] if 0 <= top[i] + dy[i] <= height - side else top[i] - dy[i]
        x = left[i] + dx[i] if 0 <= left[i] + dx[i] <= width - side else left[i] - dx[i]
        y, x = int(np.clip(y, 0, height - side)), int(np.clip(x, 0, width - side))
        result[top[i] : top[i] + side, left[i] : left[i] + side] = image[y : y + side, x : x + side]
    return result


def pixelate(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Average over square cells and show each as one colour.

    `strength` is the side of a cell in pixels, not necessarily whole. Source: KADID-10k type 21.
    """
    height, width = image.shape[:2]
    cells = (max(1, round(width / strength)), max(1, round(height / strength)))

    def mosaic(plane: np.ndarray) -> np.ndarray:
        small = Image.fromarray(plane).resize(cells, Image.Resampling.BOX)
        return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))

    if image.ndim == 2:
        return np.asarray(np.clip(mosaic(np.ascontiguousarray(image)), 0.0, 1.0))
    planes = [mosaic(np.ascontiguousarray(image[..., channel])) for channel in range(image.shape[2])]
    return np.asarray(np.clip(np.stack(planes, axis=2), 0.0, 1.0))


def colour_block(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Cover squares with random uniform colours (grey images: random greys): lost or wrongly decoded blocks.

    `strength` is the number of squares, an integer; a side is 1/12 of the image's shorter side. Source: KADID-10k
    type 23, TID2013 type 15.
    """
    side = _side(image, BLOCK_SIDE)
    top, left = _corners(image, side, MAX_BLOCKS, rng)
    tint = rng.random((MAX_BLOCKS, 3), dtype=np.float32)
    result = image.copy()
    for i in reversed(range(int(strength))):
        result[top[i] : top[i] + side, left[i] : left[i] + side] = tint[i] if image.ndim == 3 else tint[i, 0]
    return result


def _side(image: np.ndarray, share: float) -> int:
    return max(1, int(min(image.shape[:2]) * share + 0.5))


def _corners(image: np.ndarray, side: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the upper left corners of `count` squares inside the image."""
    place = rng.random((2, count))
    return (
        np.floor(place[0] * (image.shape[0] - side + 1)).astype(int),
        np.floor(place[1] * (image.shape[1] - side + 1)).astype(int),
    )
