"""Randomness that depends on names, never on order, process or time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: str | int) -> int:
    """Return a 63-bit seed that depends on every part and on nothing else.

    ``derive_seed("astronaut", "jpeg", 0)`` is the same on every machine, in every process and in every order.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by :func:`derive_seed`."""
    return np.random.Generator(np.random.PCG64(derive_seed(*parts)))


def torch_generator(*parts: str | int) -> torch.Generator:
    """Return a CPU torch generator seeded by :func:`derive_seed`."""
    import torch

    return torch.Generator().manual_seed(derive_seed(*parts))


def make_deterministic(threads: int) -> None:
    """Fix the thread count and ask torch for deterministic kernels.

    Floating-point sums depend on how work is divided among threads: the same seed gives the same bytes only with
    the same thread count.
    """
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
