"""Accuracy of a layer compared with a layer of true objects, by the overlap of their geometries."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from nssa_gis.geo.crs import transformer
from nssa_gis.vector.reader import read_layer


@dataclass(frozen=True)
class LayerScore:
    """Counts and rates at one IoU threshold.

    Attributes
    ----------
    matched, found, truths : int
        Matched pairs, detections and true objects, without ignored ones.
    precision, recall, f1 : float
        0 to 1; 0 if undefined.
    """

    matched: int
    found: int
    truths: int

    @property
    def precision(self) -> float:
        """Share of the detections that are matched."""
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the true objects that are matched."""
        return self.matched / self.truths if self.truths else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.found + self.truths
        return 2 * self.matched / total if total else 0.0


def score_layer(
    found: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    iou: float = 0.5,
    ignore: str | None = None,
) -> LayerScore:
    """Match a layer of detections one to one with a layer of true objects; classes are not compared.

    Parameters
    ----------
    found : path
        Polygons with a field ``score``: a detection with a higher score is matched first. Without the field all scores
        are equal.
    truth : path
        Polygons in any CRS; they are converted to the CRS of ``found``.
    iou : float
        Smallest intersection over union of a matched pair.
    ignore : str, optional
        A boolean field of the truth. Objects for which it is true are ignored in scoring: they count neither as missed
        nor as found.

    Raises
    ------
    NssaError
        A layer cannot be read.
    """
    boxes, scores, crs = _read(found, "score", None)
    truths, marked, _ = _read(truth, ignore, crs)
    skip = np.zeros(len(truths), bool) if ignore is None else marked.astype(bool)
    pairs_f, pairs_t, values = _overlaps(boxes, truths, iou)
    # by descending score; each detection takes the free true object of highest IoU, an ignored one only at last
    order = np.lexsort((-values, skip[pairs_t], -scores[pairs_f]))
    partner = np.full(len(boxes), -1)
    taken = np.zeros(len(truths), bool)
    for f, t in zip(pairs_f[order], pairs_t[order], strict=True):
        if partner[f] < 0 and not taken[t]:
            partner[f], taken[t] = t, True
    hit = partner >= 0
    ignored = hit.copy()
    ignored[hit] = skip[partner[hit]]
    return LayerScore(int((hit & ~ignored).sum()), int((~ignored).sum()), int((~skip).sum()))


def agreement(a: str | os.PathLike[str], b: str | os.PathLike[str], iou: float = 0.5) -> float:
    """F1 of one layer compared with another: 1 if both hold the same objects."""
    return score_layer(a, b, iou).f1


def _overlaps(
    a: NDArray[np.object_], b: NDArray[np.object_], iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find all pairs with at least this IoU: indices into ``a`` and ``b``, and the IoU."""
    i, j = shapely.STRtree(b).query(a, predicate="intersects")
    shared = shapely.area(shapely.intersection(a[i], b[j]))
    value = shared / np.maximum(shapely.area(a[i]) + shapely.area(b[j]) - shared, 1e-300)
    good = value >= iou
    return i[good], j[good], value[good]


def _read(
    path: str | os.PathLike[str], field: str | None, crs: CRS | None
) -> tuple[NDArray[np.object_], NDArray[np.float64], CRS | None]:
    """Read polygons, one field (ones if it is missing) and the CRS; convert to ``crs`` if both are known."""
    layer = read_layer(path, [field] if field else [])
    polygons = layer.shapes
    values = layer.columns[field] if field in layer.columns else np.ones(len(layer))
    if crs is not None and layer.crs is not None and layer.crs != crs:
        change = transformer(layer.crs, crs)
        polygons = shapely.transform(polygons, lambda p: np.column_stack(change.transform(p[:, 0], p[:, 1])))
    return polygons, values, layer.crs
