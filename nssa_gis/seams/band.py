"""The seam band: detections that another tile may have found too, with the columns that the matching needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP, GridDetections
from nssa_gis.geo.grid import TileGrid

#: Error of a box edge at a tile edge, pixels. A box this close to a window counts as reaching it.
SLACK = 3.0

# The regression error of a cut box grows with its length, so the distance that counts as "near an edge" does too.
_NEAR_PART = 0.04

SIDES = np.array([CUT_LEFT, CUT_TOP, CUT_RIGHT, CUT_BOTTOM], np.uint8)


@dataclass(frozen=True)
class Band:
    """Detections in canonical order, with their position in the grid.

    Attributes
    ----------
    found : GridDetections
        N rows in canonical order (see `canonical`), boxes in global model-grid pixels.
    row, col : ndarray of int64, shape (N,)
        Tile row and column.
    near : ndarray of uint8, shape (N,)
        Bits ``CUT_*`` of the inner tile edges that the box touches or nearly touches; the object may go on there.
    view : ndarray of float64, shape (N, 4)
        The box in pixels of its own tile. Sides in `near` are moved `SLACK` beyond the tile edge, because the tile does
        not show where they really are.
    """

    found: GridDetections
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    near: NDArray[np.uint8]
    view: NDArray[np.float64]

    @classmethod
    def of(cls, found: GridDetections, grid: TileGrid) -> Band:
        """Compute the position of detections in the grid."""
        row, col = grid.rows_of(found.tile), grid.cols_of(found.tile)
        view = np.empty((4, len(found)))
        near = np.zeros(len(found), np.uint8)
        for axis, place, last in ((0, col, grid.cols - 1), (1, row, grid.rows - 1)):
            origin = place * float(grid.step)
            low, high = found.boxes[:, axis] - origin, found.boxes[:, axis + 2] - origin
            tolerance = SLACK + _NEAR_PART * np.maximum(high - low, 0.0)
            for side, coordinate, gap, inner, beyond in (
                (axis, low, low, place > 0, -SLACK),
                (axis + 2, high, grid.tile - high, place < last, grid.tile + SLACK),
            ):
                close = ((gap <= tolerance) | ((found.cut & SIDES[side]) > 0)) & inner
                near |= close * SIDES[side]
                view[side] = np.where(close, beyond, coordinate)
        return cls(found, row, col, near, np.ascontiguousarray(view.T))

    @classmethod
    def concat(cls, parts: list[Band]) -> Band:
        """All parts one after another."""
        return cls(
            GridDetections.concat([p.found for p in parts]),
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("row", "col", "near", "view")),
        )

    def __len__(self) -> int:
        return len(self.found)

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Band:
        """Select rows by a mask or an index array."""
        return Band(self.found.take(index), *(getattr(self, f)[index] for f in ("row", "col", "near", "view")))

    def reaches_any(self, grid: TileGrid) -> NDArray[np.bool_]:
        """Whether each box reaches (within `SLACK`) the window of another tile; if not, it is final."""
        low, high = grid.effective_overlap + SLACK, grid.step - SLACK
        x0, y0, x1, y1 = self.view.T
        reaches: NDArray[np.bool_] = (
            ((x0 < low) & (self.col > 0))
            | ((y0 < low) & (self.row > 0))
            | ((x1 > high) & (self.col < grid.cols - 1))
            | ((y1 > high) & (self.row < grid.rows - 1))
        )
        return reaches

    def reaches_row(self, row: int, grid: TileGrid) -> NDArray[np.bool_]:
        """Whether tiles of `row` or below may show each box."""
        # Rows that begin where the tile ends count too: they show the other part of a box that the tile edge cuts.
        offset = (row - self.row) * grid.step
        return (self.view[:, 3] > offset - SLACK) & (row < grid.rows)


def canonical(found: GridDetections) -> NDArray[np.intp]:
    """Order by tile, then ``y0, x0, y1, x1``, label, score (descending), cut. It does not depend on the given order.

    Parameters
    ----------
    found : GridDetections
        N rows.

    Returns
    -------
    ndarray of int, shape (N,)
        Sorting index.
    """
    if len(found) < 2:
        return np.arange(len(found))
    y0 = found.boxes[:, 1]
    low = y0.min()
    # One number for (tile, y0). Rounding may make two equal but never swaps them; ties are sorted below.
    rough = found.tile.astype(np.float64) * (np.ceil(y0.max() - low) + 1.0) + (y0 - low)
    if (rough[1:] > rough[:-1]).all():
        return np.arange(len(found))
    order = np.argsort(rough, kind="stable")
    rough = rough[order]
    equal = rough[1:] == rough[:-1]
    if equal.any():
        tied = np.flatnonzero(np.concatenate([equal, [False]]) | np.concatenate([[False], equal]))
        rows = found.take(order[tied])
        x0, y0, x1, y1 = rows.boxes.T
        # `rough` is the first key and keeps the groups apart; rows that agree in every key are interchangeable.
        keys = (rows.cut, -rows.scores, rows.labels, x1, y1, x0, y0, rows.tile, rough[tied])
        order[tied] = order[tied][np.lexsort(keys)]
    return order
