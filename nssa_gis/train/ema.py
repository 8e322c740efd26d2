"""Exponential moving average (EMA) of a model, BatchNorm statistics included."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from nssa_gis.model.network import DetectionNetwork


class MovingAverage(AveragedModel):
    """The average of a model, starting with a copy of it, in evaluation mode.

    ``update_parameters(model)`` takes a step towards the model. With ``n = n_averaged`` models in the average, the copy
    included, it keeps ``min(decay, (1 + n) / (10 + n))`` of itself: the first models, which are far from the final one,
    are forgotten fast.

    Parameters
    ----------
    model : DetectionNetwork
        Copied.
    decay : float
        What an update keeps in the end.

    Attributes
    ----------
    module : DetectionNetwork
        The averaged network.
    """

    module: DetectionNetwork

    def __init__(self, model: DetectionNetwork, decay: float = 0.9998) -> None:
        super().__init__(model, multi_avg_fn=functools.partial(_step, decay), use_buffers=True)
        self.n_averaged.fill_(1)  # the copy is the first: at 0 the first update would replace it
        self.eval().requires_grad_(False)


def _step(decay: float, mine: Sequence[Tensor], theirs: Sequence[Tensor], models: Tensor | int) -> None:
    """Update tensors of one type; numbers that are counted, as the batches of BatchNorm, are copied."""
    if mine[0].is_floating_point():
        n = int(models)
        torch._foreach_lerp_(list(mine), list(theirs), 1 - min(decay, (1 + n) / (10 + n)))
    else:
        torch._foreach_copy_(list(mine), list(theirs))
