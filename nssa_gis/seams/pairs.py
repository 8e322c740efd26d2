"""Which boxes of two tiles are the same object: one-to-one matching inside the window that both tiles share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import CUT_BOTTOM, CUT_LEFT, CUT_RIGHT, CUT_TOP
from nssa_gis.boxes.iou import bounded_ranges, pair_iou
from nssa_gis.geo.grid import TileGrid
from nssa_gis.seams.band import SLACK, Band

#: Kinds of edges between two boxes: both show the same extent; one shows more of the object; each shows one
#: end of it.
SAME, FIRST_SEES_MORE, SECOND_SEES_MORE, JOIN = 0, 1, 2, 3

# Two tiles with the same pixels disagree on the class. It is one object if the IoU of the boxes is at least this and
# neither tile has a box of the other's class there.
_CROSS_CLASS_IOU = 0.5

# A tile edge cuts off a piece, and the boxes do not agree (the piece of a slanted object has a smaller box): the part
# of the piece that must lie in the fuller box, and the agreement that is needed along the cut axis.
_PIECE_INSIDE = 0.7
_PIECE_ALONG = 0.5
# The two ends of one long slanted object share less.
_ENDS_INSIDE = 0.5

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Edges:
    """M pairs of band rows that show one object: ``i`` from the tile with the lower id, ``kind`` as above."""

    i: IndexArray
    j: IndexArray
    kind: NDArray[np.int8]

    @classmethod
    def empty(cls) -> Edges:
        """No pairs."""
        return cls(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.int8))

    @classmethod
    def concat(cls, parts: list[Edges]) -> Edges:
        """All parts one after another."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("i", "j", "kind")))


def find_edges(band: Band, fresh: NDArray[np.bool_], grid: TileGrid, iou: float) -> Edges:
    """Match boxes of overlapping tiles.

    Parameters
    ----------
    band : Band
        Boxes of the seam band, canonical order.
    fresh : ndarray of bool, shape (N,)
        Rows that have not been matched with anything yet; pairs among the others were found before.
    grid : TileGrid
        The tile plan.
    iou : float
        Overlap inside the common window that makes two boxes one object.

    Returns
    -------
    Edges
        At most one edge of each box to each other tile.
    """
    reach = -(-grid.tile // grid.step)  # tiles this far apart cannot share a window, adjacent ones touch at least
    offsets = [(0, dc) for dc in range(1, reach + 1)]
    offsets += [(dr, dc) for dr in range(1, reach + 1) for dc in range(-reach, reach + 1)]
    parts = [Edges.empty()]
    sides = np.ascontiguousarray(band.view.T)
    for dr, dc in offsets:
        facing = _Facing.of(band, sides, fresh, grid, dr, dc)
        if facing is not None:
            parts.append(facing.match(iou))
    return Edges.concat(parts)


def _common(offset: int, grid: TileGrid) -> tuple[float, float]:
    """Interval that a tile shares with the tile `offset` steps on, with slack, in pixels of the former."""
    shift = offset * grid.step
    return max(0, shift) - SLACK, grid.tile + min(0, shift) + SLACK


@dataclass(frozen=True)
class _Facing:
    """The boxes on both sides of all seams of one direction (dr, dc), clipped to the common windows.

    Names ending in a number belong to the first tile (1) or to the second (2), which lies `dr` rows and
    `dc` columns on. ``rows`` are band rows, ``clipped`` boxes in pixels of the first tile; ``base`` keeps
    the seams apart when added to a coordinate. The second are sorted by (seam, start along it).
    """

    band: Band
    grid: TileGrid
    dr: int
    dc: int
    rows1: IndexArray
    rows2: IndexArray
    clipped1: FloatArray
    clipped2: FloatArray
    base1: FloatArray
    base2: FloatArray

    @classmethod
    def of(
        cls, band: Band, sides: FloatArray, fresh: NDArray[np.bool_], grid: TileGrid, dr: int, dc: int
    ) -> _Facing | None:
        (left, right), (top, bottom) = _common(dc, grid), _common(dr, grid)
        if right <= left or bottom <= top:
            return None
        shift = np.array([dc, dr, dc, dr]) * float(grid.step)
        x0, y0, x1, y1 = sides
        col, row = band.col + dc, band.row + dr
        first = (col >= 0) & (col < grid.cols) & (row < grid.rows)
        first &= (x0 < right) & (x1 > left) & (y0 < bottom) & (y1 > top)
        rows1 = np.flatnonzero(first)
        col, row = band.col - dc, band.row - dr
        second = fresh & (col >= 0) & (col < grid.cols) & (row >= 0)
        second &= (x0 < right - shift[0]) & (x1 > left - shift[0])
        second &= (y0 < bottom - shift[1]) & (y1 > top - shift[1])
        rows2 = np.flatnonzero(second)
        if not len(rows1) or not len(rows2):
            return None
        low, high = np.array([left, top, left, top]), np.array([right, bottom, right, bottom])
        clipped1, clipped2 = band.view.take(rows1, axis=0), band.view.take(rows2, axis=0)
        clipped2 += shift
        for clipped in (clipped1, clipped2):
            np.maximum(clipped, low, out=clipped)
            np.minimum(clipped, high, out=clipped)
        tile1 = band.found.tile[rows1]
        tile2 = band.found.tile[rows2] - (dr * grid.cols + dc)
        along = 0 if dr else 1
        span, start = 4.0 * (grid.tile + 2 * SLACK), tile1.min()
        sort = np.argsort((tile2 - start) * span + clipped2[:, along], kind="stable")
        rows2, clipped2, tile2 = rows2[sort], clipped2[sort], tile2[sort]
        return cls(
            band,
            grid,
            dr,
            dc,
            rows1,
            rows2,
            clipped1,
            clipped2,
            (tile1 - start) * span,
            (tile2 - start) * span,
        )

    def match(self, iou: float) -> Edges:
        """All edges of this direction."""
        free1, free2 = np.ones(len(self.rows1), bool), np.ones(len(self.rows2), bool)
        labels = self.band.found.labels
        i, j, overlap = self._alike(iou)
        same = labels[self.rows1[i]] == labels[self.rows2[j]]
        chosen = []
        for eligible in (same, ~same & (overlap >= _CROSS_CLASS_IOU)):
            usable = np.flatnonzero(eligible & free1[i] & free2[j])
            picked = usable[one_to_one(i[usable], j[usable], overlap[usable])]
            free1[i[picked]] = False
            free2[j[picked]] = False
            chosen.append(picked)
        index = np.concatenate(chosen)
        i, j = i[index], j[index]
        more1, more2 = self._sees_more(i, j)
        near = self.band.near
        if near[self.rows1[free1]].any() or near[self.rows2[free2]].any():
            i3, j3, more1_3, more2_3 = self._pieces(np.flatnonzero(free1), np.flatnonzero(free2))
            i, j = np.concatenate([i, i3]), np.concatenate([j, j3])
            more1, more2 = np.concatenate([more1, more1_3]), np.concatenate([more2, more2_3])
        kind = (more1 * FIRST_SEES_MORE + more2 * SECOND_SEES_MORE).astype(np.int8)
        return Edges(self.rows1[i], self.rows2[j], kind)

    def _alike(self, iou: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Pairs whose clipped boxes overlap by at least `iou`."""
        along = 0 if self.dr else 1
        start = self.clipped1[:, along]
        length = self.clipped1[:, along + 2] - start
        keys = self.base2 + self.clipped2[:, along]
        # At an overlap t along one axis the starts differ by no more than this; `hair` allows for rounding.
        hair = 1e-3
        low = np.searchsorted(keys, self.base1 + start - length * (1.0 - iou) / iou - hair, side="left")
        high = np.searchsorted(keys, self.base1 + start + length * (1.0 - iou) + hair, side="right")
        found = []
        # The same bound holds across the seam. Testing it first avoids computing most of the overlaps.
        across = 1 - along
        start1 = np.ascontiguousarray(self.clipped1[:, across])
        start2 = np.ascontiguousarray(self.clipped2[:, across])
        width = self.clipped1[:, across + 2] - start1
        least, most = start1 - width * (1.0 - iou) / iou - hair, start1 + width * (1.0 - iou) + hair
        for i, j in bounded_ranges(low, high):
            there = start2[j]
            close = np.flatnonzero((there >= least[i]) & (there <= most[i]))
            i, j = i[close], j[close]
            overlap = pair_iou(self.clipped1.take(i, axis=0), self.clipped2.take(j, axis=0))
            self._as_found(i, j, overlap, iou)
            hit = overlap >= iou
            found.append((i[hit], j[hit], overlap[hit]))
        if not found:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
        i, j, overlap = (np.concatenate(part) for part in zip(*found, strict=True))
        return i, j, overlap

    def _as_found(self, i: IndexArray, j: IndexArray, overlap: FloatArray, iou: float) -> None:
        """Compare pairs below `iou` once more, by their boxes as detected; changes `overlap` in place.

        A box near a tile edge may still be whole. Moving its side beyond the edge makes a small box so much longer that
        it no longer overlaps its counterpart enough.
        """
        near = self.band.near
        doubtful = np.flatnonzero((overlap < iou) & ((near[self.rows1[i]] | near[self.rows2[j]]) > 0))
        if not len(doubtful):
            return
        band, step = self.band, float(self.grid.step)
        a, b = self.rows1[i[doubtful]], self.rows2[j[doubtful]]
        corner = np.stack((band.col[a], band.row[a]), axis=1) * step
        (left, right), (top, bottom) = _common(self.dc, self.grid), _common(self.dr, self.grid)
        low, high = np.array([left, top, left, top]), np.array([right, bottom, right, bottom])
        found1, found2 = (np.clip(band.found.boxes[k] - np.tile(corner, 2), low, high) for k in (a, b))
        overlap[doubtful] = np.maximum(overlap[doubtful], pair_iou(found1, found2))

    def _sees_more(self, i: IndexArray, j: IndexArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the first box goes on where the second is cut off, and vice versa."""
        band, tile = self.band, self.grid.tile
        more1, more2 = np.zeros(len(i), bool), np.zeros(len(i), bool)
        a, b = self.rows1[i], self.rows2[j]
        some = np.flatnonzero(band.near[a] | band.near[b])  # two whole boxes show the same
        a, b = a[some], b[some]
        shift_x, shift_y = self.dc * self.grid.step, self.dr * self.grid.step
        va, vb = band.view[a], band.view[b] + [shift_x, shift_y, shift_x, shift_y]
        near1, near2 = band.near[a], band.near[b]
        goes_on1, goes_on2 = np.zeros(len(a), bool), np.zeros(len(a), bool)
        if self.dc > 0:
            goes_on1 |= ((near2 & CUT_LEFT) > 0) & (va[:, 0] < shift_x)
            goes_on2 |= ((near1 & CUT_RIGHT) > 0) & (vb[:, 2] > tile)
        if self.dc < 0:
            goes_on1 |= ((near2 & CUT_RIGHT) > 0) & (va[:, 2] > shift_x + tile)
            goes_on2 |= ((near1 & CUT_LEFT) > 0) & (vb[:, 0] < 0)
        if self.dr > 0:
            goes_on1 |= ((near2 & CUT_TOP) > 0) & (va[:, 1] < shift_y)
            goes_on2 |= ((near1 & CUT_BOTTOM) > 0) & (vb[:, 3] > tile)
        more1[some], more2[some] = goes_on1, goes_on2
        return more1, more2

    def _pieces(
        self, free1: IndexArray, free2: IndexArray
    ) -> tuple[IndexArray, IndexArray, NDArray[np.bool_], NDArray[np.bool_]]:
        """Pairs of unmatched boxes: one a cut piece of the other, or both ends of one object."""
        i, j = self._touching(free1, free2)
        labels = self.band.found.labels
        near = self.band.near
        fits = labels[self.rows1[i]] == labels[self.rows2[j]]
        fits &= (near[self.rows1[i]] | near[self.rows2[j]]) > 0
        i, j = i[fits], j[fits]
        more1, more2 = self._sees_more(i, j)
        a, b = self.clipped1[i], self.clipped2[j]
        extent = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
        hull = np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2])
        inter = np.maximum(extent, 0.0).prod(axis=1)
        area1, area2 = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
        agree = np.ones(len(i), bool)
        for axis, offset in enumerate((self.dc, self.dr)):
            if offset:
                agree &= extent[:, axis] >= _PIECE_ALONG * hull[:, axis]
        part = np.where(more1 & more2, np.minimum(area1, area2), np.where(more1, area2, area1))
        least = np.where(more1 & more2, _ENDS_INSIDE, _PIECE_INSIDE)
        hit = np.flatnonzero((more1 | more2) & agree & (inter >= least * part) & (part > 0))
        overlap = inter[hit] / (area1 + area2 - inter)[hit]
        picked = hit[one_to_one(i[hit], j[hit], overlap)]
        return i[picked], j[picked], more1[picked], more2[picked]

    def _touching(self, free1: IndexArray, free2: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Pairs of the given rows whose intervals along the seam touch."""
        along = 0 if self.dr else 1
        start1, end1 = (self.base1[free1] + self.clipped1[free1, k] for k in (along, along + 2))
        start2, end2 = (self.base2[free2] + self.clipped2[free2, k] for k in (along, along + 2))
        sort1 = np.argsort(start1, kind="stable")
        pairs = [
            (i, j)
            for i, j in bounded_ranges(
                np.searchsorted(start2, start1, side="left"), np.searchsorted(start2, end1, side="right")
            )
        ]
        pairs += [
            (sort1[i], j)
            for j, i in bounded_ranges(
                np.searchsorted(start1[sort1], start2, side="right"),
                np.searchsorted(start1[sort1], end2, side="right"),
            )
        ]
        if not pairs:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        i, j = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return free1[i], free2[j]


def one_to_one(i: IndexArray, j: IndexArray, value: FloatArray) -> IndexArray:
    """Greedy matching: the pair with the highest value first, each end used once; ties by i, then by j.

    Parameters
    ----------
    i, j : ndarray of int, shape (M,)
        Ends of the candidate pairs.
    value : ndarray of float64, shape (M,)
        How well they fit.

    Returns
    -------
    ndarray of int
        Positions of the chosen pairs.
    """
    if not len(i):
        return np.empty(0, np.intp)
    alone = (np.bincount(i)[i] == 1) & (np.bincount(j)[j] == 1)
    if alone.all():
        return np.arange(len(i))
    left = np.flatnonzero(~alone)
    left = left[np.lexsort((j[left], i[left], -value[left]))]
    rank = np.arange(len(left))
    chosen = [np.flatnonzero(alone)]
    best1, best2 = np.empty(int(i.max()) + 1, np.intp), np.empty(int(j.max()) + 1, np.intp)
    for _ in range(_MAX_ROUNDS):
        if not len(left):
            break
        # Written in falling order, so that the best pair of each end is the one that stays.
        best1[i[left][::-1]] = rank[::-1]
        best2[j[left][::-1]] = rank[::-1]
        mutual = (best1[i[left]] == rank) & (best2[j[left]] == rank)
        chosen.append(left[mutual])
        used1, used2 = np.zeros(len(best1), bool), np.zeros(len(best2), bool)
        used1[i[left[mutual]]] = True
        used2[j[left[mutual]]] = True
        left = left[~used1[i[left]] & ~used2[j[left]]]
        rank = rank[: len(left)]
    return np.concatenate([*chosen, _one_by_one(i, j, left)])


# As in the suppression: rounds over all pairs first, then a plain loop for the rest of a pathological chain.
_MAX_ROUNDS = 32


def _one_by_one(i: IndexArray, j: IndexArray, ordered: IndexArray) -> IndexArray:
    used1: set[int] = set()
    used2: set[int] = set()
    chosen = []
    for position, a, b in zip(ordered.tolist(), i[ordered].tolist(), j[ordered].tolist(), strict=True):
        if a not in used1 and b not in used2:
            used1.add(a)
            used2.add(b)
            chosen.append(position)
    return np.array(chosen, np.intp)
