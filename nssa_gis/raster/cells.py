"""Decoded pieces of a scene, shared by all threads, so that every block of the file is decoded about once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

import numpy as np
import rasterio
from numpy.typing import NDArray

from nssa_gis.raster.radiometry import Scaling
from nssa_gis.raster.scene import Box, Scene

#: A cell is made of whole blocks and is at least this many pixels wide or high, unless that makes it too large.
_SIDE = 512
_AREA = 1 << 20

Pixels = tuple[NDArray[np.uint8], NDArray[np.bool_] | None]


class CellCache:
    """Cache of the most recently used cells, up to a number of bytes; two threads never load the same cell twice.

    Parameters
    ----------
    load : callable
        Loads the cell of a key.
    budget : int
        Limit in bytes.
    """

    def __init__(self, load: Callable[[tuple[int, int]], Pixels], budget: int) -> None:
        self._load, self._budget = load, budget
        self._lock = threading.Lock()
        self._cells: OrderedDict[tuple[int, int], Future[Pixels]] = OrderedDict()
        self._used = 0

    def get(self, key: tuple[int, int]) -> Pixels:
        """Return a cell; raise the error of loading it."""
        with self._lock:
            cell = self._cells.get(key)
            mine = cell is None
            if cell is None:
                cell = self._cells[key] = Future()
            else:
                self._cells.move_to_end(key)
        if mine:
            try:
                pixels = self._load(key)
            except BaseException as error:
                with self._lock:
                    del self._cells[key]
                cell.set_exception(error)
                raise
            cell.set_result(pixels)
            self._keep_within_budget(_size(pixels))
        return cell.result()

    def clear(self) -> None:
        """Forget all cells."""
        with self._lock:
            self._cells.clear()
            self._used = 0

    def _keep_within_budget(self, added: int) -> None:
        with self._lock:
            self._used += added
            for key in list(self._cells):
                if self._used <= self._budget:
                    break
                if self._cells[key].done():
                    self._used -= _size(self._cells.pop(key).result())


class CellSource:
    """uint8 pixels of one level of a scene, composed of cells; safe to use from many threads.

    Parameters
    ----------
    scene : Scene
    scaling : Scaling
    overview : int or None
        Overview to read instead of the full image.
    budget : int
        Bytes of decoded cells to keep.
    handles : int
        How often the file is opened: the number of threads that read at once.
    """

    def __init__(self, scene: Scene, scaling: Scaling, overview: int | None, budget: int, handles: int) -> None:
        self._scene, self._scaling = scene, scaling
        # Opened here and not by the threads, because opening suppresses a warning, which is not thread-safe.
        self._handles = [scene.open_handle(overview) for _ in range(handles)]
        self._free: SimpleQueue[rasterio.DatasetReader] = SimpleQueue()
        for handle in self._handles:
            self._free.put(handle)
        self.width, self.height = handle.width, handle.height
        block_height, block_width = handle.block_shapes[0]
        self._cell_width = _cell_side(block_width, self.width, _SIDE)
        rows = min(_SIDE, max(1, _AREA // self._cell_width)) if block_width >= self.width else _SIDE
        self._cell_height = _cell_side(block_height, self.height, rows)
        self._cells = CellCache(self._load, budget)

    def read(self, box: Box) -> Pixels:
        """Read ``x0, y0, x1, y1`` of the level: uint8 (channels, h, w); bool (h, w), None if all valid."""
        x0, y0, x1, y1 = box
        pixels: NDArray[np.uint8] | None = None
        valid: NDArray[np.bool_] | None = None
        for cell_row in range(y0 // self._cell_height, -(-y1 // self._cell_height)):
            for cell_col in range(x0 // self._cell_width, -(-x1 // self._cell_width)):
                cell, cell_valid = self._cells.get((cell_row, cell_col))
                left, top = cell_col * self._cell_width, cell_row * self._cell_height
                rows = slice(max(y0, top), min(y1, top + cell.shape[1]))
                cols = slice(max(x0, left), min(x1, left + cell.shape[2]))
                into_y, into_x = _shifted(rows, y0), _shifted(cols, x0)
                from_y, from_x = _shifted(rows, top), _shifted(cols, left)
                if pixels is None:
                    pixels = np.empty((len(cell), y1 - y0, x1 - x0), np.uint8)
                pixels[:, into_y, into_x] = cell[:, from_y, from_x]
                if cell_valid is not None:
                    if valid is None:
                        valid = np.ones((y1 - y0, x1 - x0), np.bool_)
                    valid[into_y, into_x] = cell_valid[from_y, from_x]
        assert pixels is not None  # the box is never empty
        return pixels, valid

    def close(self) -> None:
        """Close all handles and free the pixels; no thread may be reading any more."""
        self._cells.clear()
        for handle in self._handles:
            handle.close()

    def _load(self, key: tuple[int, int]) -> Pixels:
        x0, y0 = key[1] * self._cell_width, key[0] * self._cell_height
        box = (x0, y0, min(x0 + self._cell_width, self.width), min(y0 + self._cell_height, self.height))
        handle = self._free.get()
        try:
            raw = self._scene.read(handle, self._scaling.reads, box)
        finally:
            self._free.put(handle)
        return self._scaling.convert(*raw)


def _shifted(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)


def _cell_side(block: int, length: int, goal: int) -> int:
    return min(block * max(1, goal // block), -(-length // block) * block)


def _size(pixels: Pixels) -> int:
    return pixels[0].nbytes + (0 if pixels[1] is None else pixels[1].nbytes)
