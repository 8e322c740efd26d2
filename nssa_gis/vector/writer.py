"""Write the output layer: a stream of records into any of six formats, each row to the disk once."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write, scratch_folder, write_error
from nssa_gis.vector import formats
from nssa_gis.vector.geopackage import append_rows, other_tables, replace_layer
from nssa_gis.vector.paths import gdal_path
from nssa_gis.vector.reproject import Reprojection
from nssa_gis.vector.schema import GEOMETRY, RECORDS, LayerInfo
from nssa_gis.vector.style import store_style
from nssa_gis.vector.target import Target
from nssa_gis.vector.wkb import from_wkb

_log = logging.getLogger(__name__)

#: Rows of a batch on its way to the disk: each batch has a cost of its own, and is a row group of GeoParquet.
_BATCH_ROWS = 50_000
#: What the files are called while they are written.
_STEM = "layer"


def write_layer(batches: Iterable[pa.RecordBatch], target: Target, info: LayerInfo) -> dict[int, int]:
    """Write a layer; nothing appears under its name before it is complete.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        From :func:`nssa_gis.vector.schema.records`, of any size. They are taken one after the other while the layer
        is written, so that memory stays flat. The rows are numbered in this order.
    target : Target
        From :func:`nssa_gis.vector.target.inspect_target`.
    info : LayerInfo
        What all records share.

    Returns
    -------
    dict of int to int
        Rows written by class number, ascending; classes without an object are left out.

    Raises
    ------
    NssaError
        The disk is full, the rows do not fit the format or the CRS, the layer to add to changed since it was inspected,
        or another program is writing to it. Then nothing is left behind and an older file stays as it was.
    Exception
        What ``batches`` raises is passed through.
    """
    rows = _Rows(batches, target)
    try:
        if target.existing is not None or target.others:
            with scratch_folder(target.path) as folder:
                fresh = folder / "fresh.gpkg"
                _write(rows, fresh, target, info)
                if target.existing is not None:
                    append_rows(fresh, target.path, target.existing, info.geometry)
                else:
                    replace_layer(fresh, target.path, target.layer)
        else:
            with atomic_write(target.path, replace=target.mode == "overwrite", stale=target.stale) as partial:
                _write(rows, partial, target, info)
                _check_still_alone(target)
    except Exception as error:
        if rows.stopped is not None:  # GDAL tells only that the stream ended with an error
            raise rows.stopped from None
        if isinstance(error, (RuntimeError, sqlite3.Error)):  # pyogrio's errors are RuntimeErrors
            raise write_error(target.path, error) from error
        raise
    _log.debug("%s written as %s, rows by class number %s", target.path, target.driver, rows.counts)
    return dict(sorted(rows.counts.items()))


def _check_still_alone(target: Target) -> None:
    """Raise an error if other layers would be lost with a file that had none when the work began."""
    if target.driver == "GPKG" and target.path.exists():
        others = other_tables(target.path, target.layer)
        if others:
            raise NssaError(f"{target.path}: another program has added {', '.join(others)} meanwhile; run again")


def _write(rows: _Rows, path: Path, target: Target, info: LayerInfo) -> None:
    """Write the files of a layer beside each other, ``path`` and others of its stem."""
    with gdal_path(path.parent) as folder:  # a name of the user's may hold what GDAL or pyogrio refuses
        file = Path(folder, f"{_STEM}{target.suffix}")
        formats.write_rows(rows.reader(), file, target, info)
        if rows.stopped is not None:
            raise rows.stopped
        formats.check_rows(file, target, rows.count)
        if target.driver == "GPKG" and target.existing is None:
            legend = [(k, info.classes[k]) for k in sorted(rows.counts) or range(len(info.classes))]
            store_style(file, target.layer, legend, info.geometry)
        for part in list(Path(folder).glob(f"{_STEM}.*")):
            part.rename(path if part == file else path.with_suffix(part.suffix))


class _Rows:
    """The rows of a layer on their way to the disk: numbered, in the layer's CRS, counted.

    Attributes
    ----------
    counts : dict of int to int
        Rows that passed, by class number.
    stopped : BaseException or None
        What ended the stream before its time.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], target: Target) -> None:
        self.counts: dict[int, int] = {}
        self.stopped: BaseException | None = None
        self._batches = batches
        self._target = target
        self._next_id = 1
        crs, to = target.source_crs, target.crs
        self._reproject = None if crs is None or to is None else Reprojection(crs, to)

    @property
    def count(self) -> int:
        """Rows that passed."""
        return sum(self.counts.values())

    def reader(self) -> pa.RecordBatchReader:
        """Open the stream; it can be read once."""
        none = self._finish(pa.RecordBatch.from_pylist([], RECORDS))
        return pa.RecordBatchReader.from_batches(none.schema, self._stream())

    def _stream(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in _regroup(self._batches):
                self._count(batch)
                yield self._finish(batch)
        except GeneratorExit:  # the reader had enough
            raise
        except BaseException as error:
            self.stopped = error
            raise

    def _count(self, batch: pa.RecordBatch) -> None:
        for label, n in zip(*np.unique(batch["class_id"].to_numpy(), return_counts=True), strict=True):
            self.counts[int(label)] = self.counts.get(int(label), 0) + int(n)
        formats.check_size(self._target, self.count)

    def _finish(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the rows their numbers and the layer's coordinates and columns."""
        ids = np.arange(self._next_id, self._next_id + len(batch), dtype=np.int64)
        self._next_id += len(batch)
        batch = batch.add_column(0, "id", pa.array(ids))
        if self._reproject is not None and len(batch):
            batch = formats.with_geometry(batch, self._reproject(from_wkb(batch[GEOMETRY])))
        return formats.columns_for(batch, self._target)


def _regroup(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Gather small batches and part large ones."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _BATCH_ROWS:
            yield from _joined(waiting)
            waiting = []
    yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    table = pa.Table.from_batches(batches, RECORDS).combine_chunks()
    return list(table.to_batches(max_chunksize=_BATCH_ROWS))
