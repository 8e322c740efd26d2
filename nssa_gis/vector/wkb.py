"""Boxes and points as well-known binary in an Arrow column, and back, without an object per geometry."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Little-endian WKB of a point, and of a polygon of one ring of four corners and the first one again.
_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("xy", "<f8", (1, 2))])
_POLYGON = np.dtype([("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("n", "<u4"), ("xy", "<f8", (5, 2))])


def to_wkb(coords: NDArray[np.float64]) -> pa.BinaryArray:
    """Encode geometries.

    Parameters
    ----------
    coords : ndarray of float64, shape (N, K, 2)
        K = 4: corners of a polygon, not closed; K = 1: a point.

    Returns
    -------
    pyarrow.BinaryArray of length N

    Raises
    ------
    ValueError
        More than 2 GB, about 23 million polygons.
    """
    n, corners = coords.shape[:2]
    rows = np.empty(n, _POINT if corners == 1 else _POLYGON)
    rows["order"] = 1
    if corners == 1:
        rows["type"] = 1
        rows["xy"] = coords
    else:
        rows["type"], rows["rings"], rows["n"] = 3, 1, 5
        rows["xy"][:, :4] = coords
        rows["xy"][:, 4] = coords[:, 0]
    size = rows.itemsize
    if n * size > np.iinfo(np.int32).max:  # Arrow's binary columns have offsets of 32 bits
        raise ValueError(f"{n} geometries in one batch; give at most {np.iinfo(np.int32).max // size}")
    offsets = np.arange(0, (n + 1) * size, size, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(rows)])


def from_wkb(column: pa.BinaryArray) -> NDArray[np.float64]:
    """Decode what :func:`to_wkb` made.

    Returns
    -------
    ndarray of float64, shape (N, K, 2)
        K = 4 or 1.

    Raises
    ------
    ValueError
        Other geometries than points, or polygons of four corners.
    """
    if len(column) == 0:
        return np.empty((0, 4, 2))
    layout = _POINT if len(column[0].as_py()) == _POINT.itemsize else _POLYGON
    fixed = column.cast(pa.binary(layout.itemsize))  # refuses another length
    _, data = fixed.buffers()
    rows = np.frombuffer(data, layout, len(column), fixed.offset * layout.itemsize)
    if (rows["order"] != 1).any() or (rows["type"] != (1 if layout is _POINT else 3)).any():
        raise ValueError("not points or boxes in little-endian WKB")
    return np.asarray(rows["xy"][:, :1] if layout is _POINT else rows["xy"][:, :4])
