"""Detections as columns: the one currency between the detector, the seam merge and the vector layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bits of ``Detections.cut``: the box touches this edge of its tile and the scene goes on beyond it.
CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM = 1, 2, 4, 8


@dataclass(frozen=True)
class Detections:
    """N detections as parallel columns.

    Attributes
    ----------
    boxes : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels, pixel edges (the first pixel spans 0 to 1).
    scores : ndarray of float32, shape (N,)
        Confidence, 0 to 1.
    labels : ndarray of int16, shape (N,)
        Index into the model's class list.
    tile : ndarray of int64, shape (N,)
        The tile each one came from.
    cut : ndarray of uint8, shape (N,)
        Bits ``CUT_LEFT | CUT_TOP | CUT_RIGHT | CUT_BOTTOM``: sides that touch an inner tile edge.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int16]
    tile: NDArray[np.int64]
    cut: NDArray[np.uint8]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4):
            raise ValueError(f"boxes must be (N, 4), not {self.boxes.shape}")
        for name in ("scores", "labels", "tile", "cut"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must be ({n},), not {getattr(self, name).shape}")

    @classmethod
    def from_columns(
        cls, boxes: object, scores: object, labels: object, tile: object = 0, cut: object = 0
    ) -> Detections:
        """Build from anything array-like, cast to the column types; scalars are repeated."""
        columns = np.asarray(boxes, np.float64).reshape(-1, 4)
        n = (len(columns),)
        return cls(
            columns,
            np.broadcast_to(np.asarray(scores, np.float32), n),
            np.broadcast_to(np.asarray(labels, np.int16), n),
            np.broadcast_to(np.asarray(tile, np.int64), n),
            np.broadcast_to(np.asarray(cut, np.uint8), n),
        )

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls.from_columns(np.empty((0, 4)), np.empty(0), np.empty(0))

    @classmethod
    def concat(cls, parts: Sequence[Detections]) -> Detections:
        """All parts one after another, in the order given."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in cls.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Detections:
        """Select rows by a mask, an index array or a slice."""
        return Detections(*(getattr(self, f)[index] for f in self.__dataclass_fields__))
