"""Seam merge: one record for each object, however many tiles show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import Band, canonical
from nssa_gis.seams.groups import components, resolve
from nssa_gis.seams.pairs import Edges, find_edges

# Rows of tiles are processed together up to about this many boxes: enough to hide numpy's call overhead, few
# enough to stay in the processor's cache.
_BLOCK = 1 << 16


class SeamMerger:
    """Merge detections over tile seams, one row of tiles after another.

    Boxes of one tile are never merged. Boxes of two tiles are compared inside the window that both tiles share,
    one to one, boxes of the same class first. Two boxes that agree in place but not in class are one object,
    of the class of the better box. A box that a tile edge cuts gives way to a box that shows more of the
    object. Two boxes that each show one end of an object are joined, over any number of tiles. Of several
    whole boxes the one that is farthest from the edge of its tile is kept.

    The result does not depend on the order of the boxes in a row, or on the order in which tiles are
    processed. Memory holds only the boxes that a later row may still change: those that reach the next row
    of tiles, and those joined to them.

    Parameters
    ----------
    grid : TileGrid
        The tile plan; boxes are in its (model-grid) pixels.
    iou : float
        IoU inside the common window from which two boxes are one object, 0 < iou < 1. Because boxes are
        matched one to one, it can be lower than the usual 0.5.

    Raises
    ------
    ValueError
        `iou` is not between 0 and 1.
    """

    def __init__(self, grid: TileGrid, *, iou: float = 0.4) -> None:
        if not 0.0 < iou < 1.0:
            raise ValueError(f"iou must lie between 0 and 1, not {iou}")
        self.grid = grid
        self.iou = iou
        self._next_row = 0
        self._band = Band.of(GridDetections.empty(), grid)
        self._edges = Edges.empty()

    @property
    def pending(self) -> int:
        """Number of boxes that are held back because a later row may change them."""
        return len(self._band)

    def add_row(self, row: int, found: GridDetections) -> GridDetections:
        """Add all detections of one row of tiles.

        Parameters
        ----------
        row : int
            Row of the grid; rows come in ascending order, any may be left out.
        found : GridDetections
            Boxes in global model-grid pixels, `tile` and `cut` set.

        Returns
        -------
        GridDetections
            What is final now, by tile, then ``y0, x0``.

        Raises
        ------
        ValueError
            A row out of order, or tiles of another row.
        """
        if not self._next_row <= row < self.grid.rows:
            raise ValueError(f"row {row}: expected one from {self._next_row} to {self.grid.rows - 1}")
        if len(found) and (self.grid.rows_of(found.tile) != row).any():
            raise ValueError(f"row {row}: some detections belong to tiles of another row")
        return self._advance(found, row + 1)

    def finish(self) -> GridDetections:
        """Finish the scene and return everything that was held back.

        Returns
        -------
        GridDetections
        """
        return self._advance(GridDetections.empty(), self.grid.rows)

    def _advance(self, found: GridDetections, next_row: int) -> GridDetections:
        """Add detections of rows below `next_row`; return what rows from `next_row` on cannot change."""
        self._next_row = next_row
        found = found.take(canonical(found))
        fresh = Band.of(found, self.grid)
        shared = fresh.reaches_any(self.grid)
        inside, reaching = np.flatnonzero(~shared), np.flatnonzero(shared)
        done = [found.take(inside), self._match(fresh.take(reaching), next_row)]
        final = GridDetections.concat(done)
        return final.take(canonical(final))

    def _match(self, fresh: Band, next_row: int) -> GridDetections:
        """Match new boxes with the held ones and with one another; finish every complete group."""
        held = len(self._band)
        band = Band.concat([self._band, fresh])
        is_fresh = np.arange(len(band)) >= held
        edges = Edges.concat([self._edges, find_edges(band, is_fresh, self.grid, self.iou)])
        group = components(len(band), edges.i, edges.j)
        is_open = np.zeros(len(band), bool)
        is_open[group[band.reaches_row(next_row, self.grid)]] = True
        stays = is_open[group]
        matched = np.zeros(len(band), bool)
        matched[edges.i] = True
        matched[edges.j] = True
        alone = band.found.take(np.flatnonzero(~stays & ~matched))
        settled = resolve(*_subset(band, edges, ~stays & matched), self.grid)
        self._band, self._edges = _subset(band, edges, stays)
        return GridDetections.concat([alone, settled])


def merge_detections(found: GridDetections, grid: TileGrid, *, iou: float = 0.4) -> GridDetections:
    """Merge the detections of a whole scene at once.

    Parameters
    ----------
    found : GridDetections
        N rows in any order, boxes in global model-grid pixels, `tile` and `cut` set.
    grid : TileGrid
        The tile plan.
    iou : float
        As in `SeamMerger`.

    Returns
    -------
    GridDetections
        The same records that `SeamMerger` gives row by row; by tile, then ``y0, x0``.

    Raises
    ------
    ValueError
        `iou` is not between 0 and 1, or a tile lies outside the grid.
    """
    merger = SeamMerger(grid, iou=iou)
    rows = grid.rows_of(found.tile)
    if len(rows) and not 0 <= rows.min() <= rows.max() < grid.rows:
        raise ValueError(f"tiles must lie in the grid of {len(grid)} tiles")
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        found, rows = found.take(order), rows[order]
    parts = []
    start = 0
    while start < len(found):
        # Whole rows only: the end of the row that holds the last box of a full block.
        last = rows[min(start + _BLOCK, len(found)) - 1]
        stop = int(np.searchsorted(rows, last, side="right"))
        parts.append(merger._advance(found.take(slice(start, stop)), int(last) + 1))
        start = stop
    merged = GridDetections.concat([*parts, merger.finish()])
    return merged.take(canonical(merged))


def _subset(band: Band, edges: Edges, keep: NDArray[np.bool_]) -> tuple[Band, Edges]:
    """Select some boxes and the edges among them; no edge may lead to another box."""
    position = np.cumsum(keep) - 1
    inside = keep[edges.i]
    return band.take(np.flatnonzero(keep)), Edges(
        position[edges.i[inside]], position[edges.j[inside]], edges.kind[inside]
    )
