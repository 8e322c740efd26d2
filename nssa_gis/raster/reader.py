"""Tiles of a scene at the working GSD, read ahead by threads and delivered in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nssa_gis.geo.grid import TileGrid
from nssa_gis.raster.cells import CellSource
from nssa_gis.raster.radiometry import Scaling
from nssa_gis.raster.resample import resample, taps
from nssa_gis.raster.scene import Scene, open_scene

#: Cache for decoded cells: two rows of 512-pixel cells of an RGB scene 80 000 pixels wide.
_CELL_BYTES = 256 << 20
#: Number of source pixels resampled at once.
_CHUNK = 1 << 22

Tile = tuple[NDArray[np.uint8], NDArray[np.bool_] | None]


@dataclass(frozen=True)
class TileBatch:
    """Tiles ready for the network.

    Attributes
    ----------
    ids : ndarray of int64, shape (B,)
        Ascending.
    pixels : ndarray of uint8, shape (B, C, T, T)
        C-contiguous; 0 where invalid.
    valid : ndarray of bool, shape (B, T, T), or None
        None if all pixels of all tiles are valid; pixels outside the scene are invalid.
    """

    ids: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None


class TileReader:
    """Iterate once over the tiles of a scene.

    A pixel's value depends only on its place in the model grid, not on the tile, the batch or the number of
    threads. Tiles without a valid pixel are never delivered.

    Parameters
    ----------
    scene : Scene or path
    grid : TileGrid
        Its width and height are the size of the scene on the working grid. If they differ from the scene's own, the
        pixels are resampled: area averages when shrinking, bilinear when enlarging.
    bands : sequence of int
        From `choose_bands`; the same as those of ``scaling``.
    scaling : Scaling
    ids : array_like of int or None
        Tiles to read; None for all.
    batch_size : int
    workers : int
        Threads.
    prefetch : int
        Batches read ahead of the one that is handed out.
    overview : int or None
        Overview to read instead of the full resolution, from 0; see `nssa_gis.raster.coverage.choose_overview`.

    Attributes
    ----------
    ids : ndarray of int64
        Tiles that will be read.
    """

    def __init__(
        self,
        scene: Scene | str | os.PathLike[str],
        grid: TileGrid,
        *,
        bands: Sequence[int],
        scaling: Scaling,
        ids: ArrayLike | None = None,
        batch_size: int = 8,
        workers: int = 2,
        prefetch: int = 2,
        overview: int | None = None,
    ) -> None:
        if tuple(bands) != scaling.bands:
            raise ValueError(f"bands {tuple(bands)} are not those of the scaling, {scaling.bands}")
        if batch_size < 1 or workers < 1 or prefetch < 0:
            raise ValueError("batch_size and workers must be 1 or more, prefetch 0 or more")
        self._owned = None if isinstance(scene, Scene) else open_scene(scene)
        self._scene = scene if isinstance(scene, Scene) else self._owned
        assert self._scene is not None
        self._grid, self._scaling, self._batch_size = grid, scaling, batch_size
        try:
            self.ids = np.arange(len(grid)) if ids is None else np.unique(np.asarray(ids, np.int64))
            self._source = CellSource(self._scene, scaling, overview, _CELL_BYTES, workers)
        except BaseException:
            if self._owned is not None:
                self._owned.close()
            raise
        self._ahead = (prefetch + 1) * batch_size
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="nssa-gis-read")
        self._closed = False

    def __iter__(self) -> Iterator[TileBatch]:
        kept: list[tuple[int, Tile]] = []
        try:
            for tile_id, tile in self._in_order():
                if tile is None:
                    continue
                kept.append((tile_id, tile))
                if len(kept) == self._batch_size:
                    yield _batch(kept)
                    kept = []
            if kept:
                yield _batch(kept)
        finally:
            self.close()

    def _in_order(self) -> Iterator[tuple[int, Tile | None]]:
        waiting: deque[tuple[int, Future[Tile | None]]] = deque()
        coming = iter(self.ids.tolist())
        while True:
            while len(waiting) < self._ahead and (tile_id := next(coming, None)) is not None:
                waiting.append((tile_id, self._pool.submit(self._read_tile, tile_id)))
            if not waiting:
                return
            tile_id, future = waiting.popleft()
            yield tile_id, future.result()

    def _read_tile(self, tile_id: int) -> Tile | None:
        """Pixels uint8 (C, T, T) and validity (T, T) or None; None for a tile without a valid pixel."""
        grid, size = self._grid, self._grid.tile
        x0, y0 = (int(v) for v in grid.windows(tile_id)[:2])
        x1, y1 = min(x0 + size, grid.width), min(y0 + size, grid.height)
        pixels, valid = self._resampled(x0, y0, x1, y1)
        if valid is not None and not valid.any():
            return None
        if (x1 - x0, y1 - y0) != (size, size):
            room, mask = np.zeros((len(pixels), size, size), np.uint8), np.zeros((size, size), np.bool_)
            room[:, : y1 - y0, : x1 - x0] = pixels
            mask[: y1 - y0, : x1 - x0] = True if valid is None else valid
            pixels, valid = room, mask
        if self._scaling.channels != tuple(range(len(pixels))):
            pixels = pixels[list(self._scaling.channels)]
        return pixels, None if valid is None or valid.all() else valid

    def _resampled(self, x0: int, y0: int, x1: int, y1: int) -> Tile:
        source, grid = self._source, self._grid
        if (source.width, source.height) == (grid.width, grid.height):
            return source.read((x0, y0, x1, y1))
        cols = taps(source.width, grid.width, x0, x1)
        # A scene that shrinks a lot is resampled in strips, so the whole source window of a tile is never in memory.
        strip = max(1, int(_CHUNK / (cols.high - cols.low) / max(1.0, source.height / grid.height)))
        parts = []
        for top in range(y0, y1, strip):
            rows = taps(source.height, grid.height, top, min(top + strip, y1))
            parts.append(resample(*source.read((cols.low, rows.low, cols.high, rows.high)), rows, cols))
        if len(parts) == 1:
            return parts[0]
        pixels = np.concatenate([p for p, _ in parts], axis=1)
        if all(v is None for _, v in parts):
            return pixels, None
        return pixels, np.concatenate([np.ones(p.shape[1:], np.bool_) if v is None else v for p, v in parts])

    def close(self) -> None:
        """Stop the threads (current reads are finished, no new ones start) and close the files."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.close()
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> TileReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _batch(tiles: list[tuple[int, Tile]]) -> TileBatch:
    pixels = np.stack([tile[0] for _, tile in tiles])
    valid = None
    if any(tile[1] is not None for _, tile in tiles):
        valid = np.stack([np.ones(pixels.shape[2:], np.bool_) if t[1] is None else t[1] for _, t in tiles])
    return TileBatch(np.array([i for i, _ in tiles], np.int64), pixels, valid)
