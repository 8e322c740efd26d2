"""Training in several processes, one per GPU, as ``torchrun`` starts them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from nssa_gis.errors import UsageError
from nssa_gis.runtime.backends.torch import choose_device

#: How long processes wait for one another. The first one validates alone from time to time.
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Ranks:
    """The processes that train one model together, as one of them sees them.

    Attributes
    ----------
    number : int
        Number of this process; only the first (0) validates and writes.
    count : int
        Number of processes; 1 is an ordinary training.
    local : int
        Number of this process on its machine; its GPU has the same number.
    """

    number: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process validates and writes."""
        return self.number == 0

    def device(self, name: str) -> torch.device:
        """Device of this process; each of several processes takes the GPU with its number.

        Raises
        ------
        UsageError
            ``name`` is one GPU or MPS, which several processes cannot share, or there are too few GPUs.
        """
        if self.count == 1:
            return choose_device(name)
        if name not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {name}: several processes need auto, cuda (a GPU each) or cpu")
        device = choose_device(name)
        if device.type != "cuda":
            return torch.device("cpu")
        if self.local >= torch.cuda.device_count():
            raise UsageError(
                f"more processes than the {torch.cuda.device_count()} GPUs; give torchrun a smaller --nproc-per-node"
            )
        return torch.device("cuda", self.local)

    def share(self, batch: int) -> int:
        """Crops of a batch that this process takes.

        Raises
        ------
        UsageError
            The batch cannot be divided evenly.
        """
        if batch % self.count:
            raise UsageError(f"--batch {batch}: must be a multiple of the {self.count} processes that share it")
        return batch // self.count

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, with the same result in each; not differentiable."""
        if self.count == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def wait(self) -> None:
        """Wait until every process has reached this point."""
        if self.count > 1:
            dist.barrier()


#: An ordinary training in one process.
ALONE = Ranks()


@contextlib.contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Connect to the other processes if ``torchrun`` started this one; otherwise train alone.

    NCCL connects GPUs, gloo CPUs.

    Parameters
    ----------
    device : str
        As in :meth:`Ranks.device`.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))
    chosen = ranks.device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
