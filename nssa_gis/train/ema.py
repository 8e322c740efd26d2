"""Exponential moving average of a model, BatchNorm buffers included."""

from __future__ import annotations

import copy

import torch

from nssa_gis.model.network import DetectionNetwork


class MovingAverage:
    """EMA with a decay that ramps up: min(decay, (1 + n) / (10 + n)) after n updates.

    Parameters
    ----------
    model : DetectionNetwork
        Copied at the start.
    decay : float
        Final decay per step.
    """

    def __init__(self, model: DetectionNetwork, decay: float = 0.9998) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: DetectionNetwork) -> None:
        """Take one step towards ``model``."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = self.model.state_dict(), model.state_dict()
        floats = [k for k, v in mine.items() if v.is_floating_point()]
        torch._foreach_lerp_([mine[k] for k in floats], [theirs[k] for k in floats], 1 - keep)
        for k, v in mine.items():
            if not v.is_floating_point():
                v.copy_(theirs[k])
