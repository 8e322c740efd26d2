"""Layers as values that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from nssa_gis.vector.reader import read_layer


def layer_records(path: Path) -> list[Any]:
    """Geometry and all fields of a layer, in the order of the file, as values that can be compared."""
    layer = read_layer(path)
    return [layer.wkb.tolist(), *[(name, values.tolist()) for name, values in layer.columns.items()]]


def layer_boxes(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Boxes of a layer in scene pixels with the class, ``x0, y0, x1, y1, class_id`` (N, 5), sorted."""
    names = ["x_px", "y_px", "w_px", "h_px", "class_id"]
    columns = read_layer(path, names).columns
    x, y, w, h, label = (columns[name].astype(np.float64) for name in names)
    return ordered(np.stack([x, y, x + w, y + h, label], axis=1))


def ordered(boxes: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows sorted, so that two sets can be compared row by row."""
    boxes = np.asarray(boxes, np.float64)
    return boxes[np.lexsort(boxes.T)]


def same_boxes(found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], tolerance: float) -> bool:
    """Whether boxes with class (N, 5) are the same, one to one, each coordinate within a tolerance in pixels."""
    if found.shape != truth.shape:
        return False
    tree = shapely.STRtree(shapely.box(*truth[:, :4].T))
    mine, theirs = tree.query(shapely.box(*found[:, :4].T), predicate="intersects")
    near = (np.abs(found[mine] - truth[theirs]) <= tolerance).all(axis=1)
    return len(set(mine[near])) == len(set(theirs[near])) == len(found)
