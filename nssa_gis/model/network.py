"""The whole network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.head import LevelHead, decode_boxes, points_of
from nssa_gis.model.neck import CrossNeck, PathNeck
from nssa_gis.model.resnet import ResNetTrunk
from nssa_gis.model.trunk import Trunk

_TRUNKS: dict[str, type[nn.Module]] = {"csp": Trunk, "resnet": ResNetTrunk}
_NECKS: dict[str, type[nn.Module]] = {"path": PathNeck, "cross": CrossNeck}


class Predictions(NamedTuple):
    """Raw output over all P points of all levels, finest level first.

    Attributes
    ----------
    logits : Tensor, shape (B, P, classes)
        Class logits.
    distances : Tensor, shape (B, P, 4)
        Raw distances to left, top, right, bottom (before the exponential).
    """

    logits: Tensor
    distances: Tensor


class DetectionNetwork(nn.Module):
    """Trunk, neck with attention, one head per level.

    Parameters
    ----------
    config : DetectorConfig
        The network's shape.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = _TRUNKS[config.trunk](config)
        self.neck = _NECKS[config.pyramid](config)
        width = dict(zip(config.strides, config.neck, strict=True))
        self.heads = nn.ModuleDict(
            {str(s): LevelHead(width[s], config.classes, config.head_depth) for s in config.head_strides}
        )

    def forward(self, image: Tensor) -> Predictions:
        """Run the network.

        Parameters
        ----------
        image : Tensor, shape (B, C, H, W)
            Values 0 to 1; H and W multiples of the coarsest stride.
        """
        # centred and scaled here, so that every backend gets the same input from 0 to 1
        levels = self.neck(self.trunk((image - 0.5) * 4.0))
        outputs = [head(levels[int(s)]) for s, head in self.heads.items()]
        logits, distances = zip(*outputs, strict=True)
        return Predictions(torch.cat(logits, 1), torch.cat(distances, 1))

    def points(self, height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Point centres ``(P, 2)`` and strides ``(P,)`` for an image of ``height`` x ``width`` pixels."""
        strides = self.config.head_strides
        parts = [points_of(height // s, width // s, s, device) for s in strides]
        sizes = torch.tensor([len(p) for p in parts], device=device)
        values = torch.tensor(strides, dtype=torch.float32, device=device)
        return torch.cat(parts), values.repeat_interleave(sizes)

    def boxes(self, predictions: Predictions, height: int, width: int) -> Tensor:
        """Decode float32 boxes ``(B, P, 4)``, ``x0, y0, x1, y1`` in pixels."""
        points, strides = self.points(height, width, predictions.distances.device)
        return decode_boxes(points, strides, predictions.distances)
