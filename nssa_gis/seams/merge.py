"""Seam merge: one record for each object, whatever the number of tiles that saw it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.errors import UsageError
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import Band, canonical
from nssa_gis.seams.groups import components, resolve
from nssa_gis.seams.overlap import merge_by_overlap
from nssa_gis.seams.pairs import Edges, find_edges

#: Ways to merge; "seam" is the one to use, the others are there to compare with.
METHODS = ("seam", "nms", "nmm", "wbf", "none")

# Rows of tiles are taken together up to about this many boxes: enough to hide numpy's call overhead, few
# enough to stay in the cache.
_BLOCK = 1 << 16


class SeamMerger:
    """Merge detections row of tiles by row of tiles, keeping only what a later row may still change.

    The rules ("seam"): boxes of one tile are never merged. Boxes of two tiles are compared inside the window
    that both saw, one to one, and boxes of one class first; two that agree although the tiles name different
    classes are one object too, of the class of the better box. A box cut off at a tile edge yields to one
    that sees more; two that each see one end are joined, over any number of tiles. Of whole boxes the one
    farthest from its tile's edge stays.

    The result does not depend on the order of the boxes within a row, nor on the order in which tiles were
    worked on. Memory holds only boxes that reach the next row of tiles, and what is joined to them.

    Parameters
    ----------
    grid : TileGrid
        The tile plan; boxes are in its (model-grid) pixels.
    method : {"seam", "nms", "nmm", "wbf", "none"}
        "nms", "nmm" and "wbf" hold everything until `finish`; "none" passes everything on.
    iou : float, optional
        Overlap that makes two boxes one object, 0 < iou < 1; for "seam" inside the common window, where one
        to one matching allows a lower one (0.4) than overlap alone (0.5).

    Raises
    ------
    UsageError
        Unknown method, or `iou` out of range.
    """

    def __init__(self, grid: TileGrid, *, method: str = "seam", iou: float | None = None) -> None:
        if method not in METHODS:
            raise UsageError(f"merge method {method!r} is unknown; choose one of {', '.join(METHODS)}")
        if iou is None:
            iou = 0.4 if method == "seam" else 0.5
        if not 0.0 < iou < 1.0:
            raise UsageError(f"merge overlap {iou} must lie between 0 and 1")
        self.grid = grid
        self.method = method
        self.iou = iou
        self._next_row = 0
        self._held: list[GridDetections] = []
        self._band = Band.of(GridDetections.empty(), grid)
        self._edges = Edges.empty()

    @property
    def pending(self) -> int:
        """Boxes held back because a later row may change them."""
        return len(self._band) + sum(map(len, self._held))

    def add_row(self, row: int, found: GridDetections) -> GridDetections:
        """Take all detections of one row of tiles.

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
        """End of the scene: everything that was held back.

        Returns
        -------
        GridDetections
        """
        if self.method in ("seam", "none"):
            return self._advance(GridDetections.empty(), self.grid.rows)
        held = GridDetections.concat(self._held)
        self._held = []
        merged = merge_by_overlap(held.take(canonical(held)), self.method, self.iou)
        return merged.take(canonical(merged))

    def _advance(self, found: GridDetections, next_row: int) -> GridDetections:
        """Take detections of rows below `next_row`; return what rows from `next_row` on cannot change."""
        self._next_row = next_row
        if self.method not in ("seam", "none"):
            self._held.append(found)
            return GridDetections.empty()
        found = found.take(canonical(found))
        if self.method == "none":
            return found
        fresh = Band.of(found, self.grid)
        shared = fresh.reaches_any(self.grid)
        inside, reaching = np.flatnonzero(~shared), np.flatnonzero(shared)
        done = [found.take(inside), self._match(fresh.take(reaching), next_row)]
        final = GridDetections.concat(done)
        return final.take(canonical(final))

    def _match(self, fresh: Band, next_row: int) -> GridDetections:
        """Match new boxes with the held ones and one another; settle every group that is complete."""
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


def merge_detections(
    found: GridDetections, grid: TileGrid, *, method: str = "seam", iou: float | None = None
) -> GridDetections:
    """Merge the detections of a whole scene at once.

    Parameters
    ----------
    found : GridDetections
        N rows in any order, boxes in global model-grid pixels, `tile` and `cut` set.
    grid : TileGrid
        The tile plan.
    method, iou
        As in `SeamMerger`.

    Returns
    -------
    GridDetections
        The same records that `SeamMerger` gives row by row; by tile, then ``y0, x0``.
    """
    merger = SeamMerger(grid, method=method, iou=iou)
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
    """Take some boxes and the edges among them; no edge may lead out."""
    position = np.cumsum(keep) - 1
    inside = keep[edges.i]
    return band.take(np.flatnonzero(keep)), Edges(
        position[edges.i[inside]], position[edges.j[inside]], edges.kind[inside]
    )
