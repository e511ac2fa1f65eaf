"""Training on several devices: one process each, started by ``torchrun``; without it there is one rank and no cost.

Every rank draws its own batches, gradients are averaged, so all ranks take the same step. A run with W ranks sees W
times as many crops a step and is another run than one with a single rank: W is part of what identifies a checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import distributed, nn

from causaliqa.errors import ModelError


@dataclass(frozen=True)
class Ranks:
    """Who this process is among those that train one model.

    Attributes
    ----------
    rank, world : this process's number and how many there are.
    device : where it computes: ``cpu``, ``cuda``, or ``cuda:k`` for the k-th process of a machine.
    """

    rank: int
    world: int
    device: str

    @classmethod
    def join(cls, device: str) -> Ranks:
        """Join the processes that ``torchrun`` started; alone if it did not.

        Parameters
        ----------
        device : ``cpu`` (gloo) or ``cuda`` (NCCL, one GPU a process).

        Raises
        ------
        ModelError
            If a machine has fewer GPUs than processes.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls(0, 1, device)
        local = int(os.environ["LOCAL_RANK"])
        if device == "cuda":
            if local >= torch.cuda.device_count():
                raise ModelError(
                    f"torchrun started process {local + 1} of a machine that has {torch.cuda.device_count()} GPUs; "
                    "lower --nproc-per-node"
                )
            torch.cuda.set_device(local)
            device = f"cuda:{local}"
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(distributed.get_rank(), world, device)

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def batch(self, step: int) -> int:
        """Return the number of the batch that this rank draws at a step."""
        return step * self.world + self.rank

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their mean over ranks."""
        if self.world == 1:
            return
        found = [parameter for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([parameter.grad.flatten() for parameter in found])  # type: ignore[union-attr]
        distributed.all_reduce(flat)
        flat /= self.world
        for parameter, mean in zip(found, torch.split(flat, [parameter.numel() for parameter in found]), strict=True):
            parameter.grad.copy_(mean.view_as(parameter))  # type: ignore[union-attr]

    def leave(self) -> None:
        """Wait for all ranks and part."""
        if self.world > 1:
            distributed.barrier()
            distributed.destroy_process_group()
