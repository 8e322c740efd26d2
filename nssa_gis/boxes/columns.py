"""Detections as columns: one type for each pixel grid that a box passes through on its way to the layer.

``TileDetections`` (tile pixels) become ``GridDetections`` (working grid) and then ``SceneDetections`` (scene pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from typing_extensions import Self

#: Bits of ``GridDetections.cut``: the box touches this edge of its tile and the scene goes on beyond it.
CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM = 1, 2, 4, 8

_DTYPES: dict[str, Any] = {
    "boxes": np.float64,
    "scores": np.float32,
    "labels": np.int16,
    "item": np.int64,
    "tile": np.int64,
    "cut": np.uint8,
}


@dataclass(frozen=True)
class Detections:
    """N detections as parallel columns; the base of the three types, which are not interchangeable.

    Attributes
    ----------
    boxes : ndarray of float64, shape (N, 4)
        ``x0, y0, x1, y1`` in pixels, pixel edges (the first pixel spans 0 to 1).
    scores : ndarray of float32, shape (N,)
        Confidence, 0 to 1.
    labels : ndarray of int16, shape (N,)
        Index into the model's class list.

    Raises
    ------
    ValueError
        The columns differ in length.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int16]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4):
            raise ValueError(f"boxes must be (N, 4), not {self.boxes.shape}")
        for name in self.names()[1:]:
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must be ({n},), not {getattr(self, name).shape}")

    @classmethod
    def names(cls) -> list[str]:
        """Names of the columns, ``boxes`` first."""
        return [f.name for f in fields(cls)]

    @classmethod
    def of(cls, boxes: ArrayLike, *columns: ArrayLike) -> Self:
        """Build from anything array-like, in the order of :meth:`names`, cast to the column types.

        Scalars are repeated.
        """
        corners = np.asarray(boxes, np.float64).reshape(-1, 4)
        named = zip(cls.names()[1:], columns, strict=True)
        return cls(corners, *(np.broadcast_to(np.asarray(v, _DTYPES[k]), len(corners)) for k, v in named))

    @classmethod
    def empty(cls) -> Self:
        """No detections."""
        return cls(np.empty((0, 4)), **{name: np.empty(0, _DTYPES[name]) for name in cls.names()[1:]})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All parts one after another, in the order given."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.names()))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Select rows by a mask, an index array or a slice."""
        return type(self)(*(getattr(self, name)[index] for name in self.names()))

    def replace(self, **columns: Any) -> Self:
        """Exchange whole columns."""
        return replace(self, **columns)


@dataclass(frozen=True)
class TileDetections(Detections):
    """What a network found in a batch of tiles: ``boxes`` in pixels of the tile.

    Attributes
    ----------
    item : ndarray of int64, shape (N,)
        Index of the tile in the batch.
    """

    item: NDArray[np.int64]


@dataclass(frozen=True)
class GridDetections(Detections):
    """Detections on the working grid: ``boxes`` in its pixels, for the merge over tile seams.

    Attributes
    ----------
    tile : ndarray of int64, shape (N,)
        Grid id of the tile each one came from.
    cut : ndarray of uint8, shape (N,)
        Bits ``CUT_LEFT | CUT_TOP | CUT_RIGHT | CUT_BOTTOM``: sides that touch an inner tile edge.
    """

    tile: NDArray[np.int64]
    cut: NDArray[np.uint8]


@dataclass(frozen=True)
class SceneDetections(Detections):
    """Objects of a scene: ``boxes`` in pixels of the scene (of the image, for a labelled one)."""
