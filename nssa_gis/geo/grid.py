"""The grid of tiles: which windows the network sees, and which sides of them lie inside the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP
from nssa_gis.errors import UsageError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TileGrid:
    """Overlapping square tiles over a scene, row by row.

    A tile's id is ``row * cols + col``. Origins are multiples of ``align`` (the network's total stride), so
    that every tile has the same phase. The last column and row may extend beyond the scene.

    Attributes
    ----------
    width, height : int
        Scene in model-grid pixels.
    tile : int
        Side of a tile, pixels.
    overlap : int
        The least that neighbours share, pixels; `effective_overlap` is what they do share.
    align : int
        Tile origins are multiples of it.

    Raises
    ------
    UsageError
        The sizes do not fit together.
    """

    width: int
    height: int
    tile: int
    overlap: int = 0
    align: int = 1

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"tile plan: a scene of {self.width} x {self.height} pixels is empty")
        if self.align < 1 or self.tile < 1 or self.tile % self.align:
            raise UsageError(
                f"tile size {self.tile}: the model needs a multiple of {self.align}; "
                f"try --tile {max(1, round(self.tile / max(self.align, 1))) * max(self.align, 1)}"
            )
        if self.overlap < 0 or self.step < 1:
            raise UsageError(
                f"overlap {self.overlap}: for tiles of {self.tile} pixels it must be from 0 to {self.tile - self.align}"
            )

    @property
    def step(self) -> int:
        """Pixels from one tile origin to the next."""
        return (self.tile - self.overlap) // self.align * self.align

    @property
    def effective_overlap(self) -> int:
        """Pixels that neighbours share."""
        return self.tile - self.step

    @property
    def cols(self) -> int:
        """Tiles in a row."""
        return _count(self.width, self.tile, self.step)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return _count(self.height, self.tile, self.step)

    def __len__(self) -> int:
        return self.cols * self.rows

    def rows_of(self, ids: ArrayLike) -> Ints:
        """Row of each tile."""
        return np.asarray(ids, np.int64) // self.cols

    def cols_of(self, ids: ArrayLike) -> Ints:
        """Column of each tile."""
        return np.asarray(ids, np.int64) % self.cols

    def windows(self, ids: ArrayLike) -> Ints:
        """Whole tiles ``x0, y0, x1, y1``, int64 (M, 4); the last ones may reach beyond the scene."""
        x0, y0 = self.cols_of(ids) * self.step, self.rows_of(ids) * self.step
        return np.stack([x0, y0, x0 + self.tile, y0 + self.tile], axis=-1)

    def inner_sides(self, ids: ArrayLike) -> NDArray[np.uint8]:
        """Bits ``CUT_*`` of the sides beyond which the scene goes on in another tile, uint8 (M,)."""
        cols, rows = self.cols_of(ids), self.rows_of(ids)
        bits = (
            np.where(cols > 0, CUT_LEFT, 0)
            | np.where(rows > 0, CUT_TOP, 0)
            | np.where(cols < self.cols - 1, CUT_RIGHT, 0)
            | np.where(rows < self.rows - 1, CUT_BOTTOM, 0)
        )
        return bits.astype(np.uint8)

    def cut_sides(self, boxes: ArrayLike, ids: ArrayLike, tolerance: float = 1.0) -> NDArray[np.uint8]:
        """Sides on which boxes touch an inner edge of their tile.

        Parameters
        ----------
        boxes : array_like, shape (N, 4)
            Global model-grid pixels.
        ids : array_like, shape (N,)
            Tile of each box.
        tolerance : float
            Pixels from the edge that still count as touching.

        Returns
        -------
        ndarray of uint8, shape (N,)
            Bits ``CUT_*``.
        """
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        tiles = self.windows(np.broadcast_to(np.asarray(ids, np.int64), len(boxes)))
        touching = (
            np.where(boxes[:, 0] <= tiles[:, 0] + tolerance, CUT_LEFT, 0)
            | np.where(boxes[:, 1] <= tiles[:, 1] + tolerance, CUT_TOP, 0)
            | np.where(boxes[:, 2] >= tiles[:, 2] - tolerance, CUT_RIGHT, 0)
            | np.where(boxes[:, 3] >= tiles[:, 3] - tolerance, CUT_BOTTOM, 0)
        )
        return (touching & self.inner_sides(ids)).astype(np.uint8)


def _count(size: int, tile: int, step: int) -> int:
    return 1 if size <= tile else -(-(size - tile) // step) + 1
