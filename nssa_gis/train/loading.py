"""Batches of crops; each process gets its share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from nssa_gis.train.composite import CompositeCrops, Labels
from nssa_gis.train.distributed import Ranks
from nssa_gis.train.losses import Truth


def shares(first: int, last: int, batch: int, ranks: Ranks) -> Iterator[range]:
    """Crop numbers of this process, step by step; a step has the same crops for any number of processes."""
    size = ranks.share(batch)
    for step in range(first, last):
        start = step * batch + ranks.number * size
        yield range(start, start + size)


def load_batches(
    crops: CompositeCrops, numbers: Iterator[range], workers: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, list[Truth]]]:
    """Images ``(B, 3, H, W)`` float32, 0 to 1, and their labels, on the device.

    Parameters
    ----------
    crops : CompositeCrops
        Source of the crops.
    numbers : iterator of range
        Numbers of the crops, batch by batch.
    workers : int
        Processes that prepare the crops; with 0 this process does it.
    device : torch.device
        Device of the batches.
    """
    loader: DataLoader[Any] = DataLoader(
        crops,  # type: ignore[arg-type]
        batch_sampler=numbers,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_keep_quiet,
        prefetch_factor=4 if workers else None,
    )
    for pixels, labels in loader:
        images = pixels.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)
        yield images, [Truth(*(t.to(device) for t in truth)) for truth in labels]


def _keep_quiet(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which a terminal sends to the whole group; the parent ends the workers.

    It may end them while one of their threads sends a batch, which would then print a traceback. Errors in making a
    crop are raised in the parent.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = lambda *_: None


def _collate(items: list[tuple[np.ndarray, Labels]]) -> tuple[torch.Tensor, list[tuple[torch.Tensor, ...]]]:
    pixels = torch.from_numpy(np.stack([p for p, _ in items]))
    truth = [
        tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in (t.boxes, t.labels, t.ignore, t.ignore_class))
        for _, t in items
    ]
    return pixels, truth
