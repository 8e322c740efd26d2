"""Write the output layer: streamed, in any of six formats, into place in one step."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from pyproj import CRS

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.vector.reproject import Reprojection, parse_crs
from nssa_gis.vector.schema import Chunk, LayerInfo
from nssa_gis.vector.sinks import (
    ExistingLayer,
    FlatGeobufSink,
    GpkgAppendSink,
    GpkgSink,
    ParquetSink,
    ShapefileSink,
    Sink,
    require_pyarrow,
)
from nssa_gis.vector.text import CsvSink, GeoJsonSink

_SINKS: dict[str, Callable[[Path, str, LayerInfo], Sink]] = {
    "GPKG": GpkgSink,
    "GeoJSON": GeoJsonSink,
    "FlatGeobuf": FlatGeobufSink,
    "Parquet": ParquetSink,
    "ESRI Shapefile": ShapefileSink,
    "CSV": CsvSink,
}

#: Formats by file extension; the values are GDAL's driver names.
DRIVERS: dict[str, str] = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".parquet": "Parquet",
    ".geoparquet": "Parquet",
    ".shp": "ESRI Shapefile",
    ".csv": "CSV",
}
_ALIASES = {**{name.lower(): name for name in _SINKS}, "geoparquet": "Parquet", "shapefile": "ESRI Shapefile"}

# Rows gathered before they go to disk: opening a GeoPackage for a handful of rows costs more than the rows.
_FLUSH_ROWS = 50_000
_SQLITE_SIDECARS = ("-wal", "-shm", "-journal")
_SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")
# What other programs add beside a Shapefile and what would be wrong for a new one.
_SHAPEFILE_SIDECARS = (*_SHAPEFILE_PARTS, ".qpj", ".qix", ".sbn", ".sbx", ".shp.xml")


def driver_of(path: str | os.PathLike[str], driver: str | None = None) -> str:
    """Choose the format.

    Parameters
    ----------
    path : path
        Output file.
    driver : str or None
        Format asked for, in any case; None: by the extension.

    Returns
    -------
    str
        A value of `DRIVERS`.

    Raises
    ------
    UsageError
        Unknown format, or no extension to go by.
    """
    suffix = Path(path).suffix.lower()
    if driver is None:
        if suffix not in DRIVERS:
            raise UsageError(
                f"{path}: cannot tell the format from '{suffix}'; end the name in {', '.join(DRIVERS)} or give --of"
            )
        return DRIVERS[suffix]
    name = _ALIASES.get(driver.lower())
    if name is None:
        raise UsageError(f"--of {driver}: not a format nssa-gis writes; it writes {', '.join(_SINKS)}")
    if name == "ESRI Shapefile" and suffix != ".shp":
        raise UsageError(f"{path}: the name of a Shapefile must end in .shp")
    return name


def output_files(path: str | os.PathLike[str], driver: str | None = None) -> list[Path]:
    """List the files of an output, whether they are there or not; a Shapefile has several.

    Raises
    ------
    UsageError
        Unknown format.
    """
    path = Path(path)
    parts = _SHAPEFILE_PARTS if driver_of(path, driver) == "ESRI Shapefile" else ()
    return [path, *(path.with_suffix(part) for part in parts)]


def check_output(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    driver: str | None = None,
    append: bool = False,
) -> None:
    """Find out before any work whether the output can be written.

    Parameters
    ----------
    path : path
        Output file.
    overwrite : bool
        It may exist and will be replaced.
    driver : str or None
        As in `open_writer`.
    append : bool
        It may exist and will be added to.

    Raises
    ------
    UsageError
        Unknown format, or `append` with a format that cannot be added to.
    NssaError
        It exists, its folder does not or is not writable, or the format needs a package that is missing.
    """
    path = Path(path)
    name = driver_of(path, driver)
    if append and name != "GPKG":
        raise UsageError(f"{path}: only a GeoPackage can be appended to; end the name in .gpkg")
    if name == "Parquet":
        require_pyarrow()
    if path.is_dir():
        raise NssaError(f"{path}: is a folder; give the name of a file in it")
    for file in output_files(path, driver):
        if file.exists() and not (overwrite or append):
            raise NssaError(f"{file}: exists already; give another name or --overwrite")
    if not path.parent.is_dir():
        raise NssaError(f"{path}: the folder {path.parent} does not exist; create it first")
    os.rmdir(_work_folder(path))


def _work_folder(path: Path) -> Path:
    # Beside the output, because only a move within one file system is atomic.
    try:
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-{os.getpid()}-", dir=path.parent))
    except OSError as error:
        raise NssaError(
            f"{path}: the folder {path.parent} cannot be written to ({error.strerror}); choose another one"
        ) from error


def open_writer(
    path: str | os.PathLike[str],
    info: LayerInfo,
    *,
    driver: str | None = None,
    t_crs: str | CRS | None = None,
    overwrite: bool = False,
    append: bool = False,
) -> LayerWriter:
    """Start a layer; nothing appears under `path` before it is complete.

    Parameters
    ----------
    path : path
        Output file.
    info : LayerInfo
        What all rows share; ``info.crs`` is the CRS of the chunks.
    driver : str or None
        GPKG, GeoJSON, FlatGeobuf, Parquet, "ESRI Shapefile" or CSV; None: by the extension.
    t_crs : str, pyproj.CRS or None
        CRS of the layer; None: that of the scene. GeoJSON is always WGS 84.
    overwrite : bool
        Replace an existing file.
    append : bool
        Add to the layer of an existing GeoPackage, in its CRS, numbers going on from its last ``id``; a file
        that does not exist is made.

    Returns
    -------
    LayerWriter

    Raises
    ------
    UsageError
        Options that make no sense together.
    NssaError
        See `check_output`; or the existing layer does not fit.
    """
    check_output(path, overwrite, driver=driver, append=append)
    name = driver_of(path, driver)
    # Through a symbolic link to the file itself: a move would replace the link.
    target = Path(os.path.realpath(path))
    existing = ExistingLayer(target, info) if append and target.exists() else None
    crs = _layer_crs(info.crs, t_crs, name, existing)
    folder = _work_folder(target)
    layer_info = replace(info, crs=crs)
    reproject = None if crs is None or info.crs is None else Reprojection(info.crs, crs)
    try:
        with _explained(target):
            sink: Sink = (
                GpkgAppendSink(folder, existing, layer_info)
                if existing
                else _SINKS[name](folder, layer_name(target), layer_info)
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return LayerWriter(
        target,
        driver=name,
        sink=sink,
        folder=folder,
        reproject=reproject,
        next_id=existing.next_id if existing else 1,
        may_replace=overwrite or existing is not None,
    )


def layer_name(path: str | os.PathLike[str]) -> str:
    """Name of the layer in the container: the file's name without extension, where a GeoPackage allows it."""
    stem = Path(path).stem
    reserved = stem.lower().startswith(("gpkg_", "sqlite_", "rtree_"))
    return f"layer_{stem}" if reserved or stem.lower() == "layer_styles" else stem


def _layer_crs(scene: CRS | None, t_crs: str | CRS | None, driver: str, existing: ExistingLayer | None) -> CRS | None:
    asked = None if t_crs is None else parse_crs(t_crs)
    if asked is not None and scene is None:
        raise UsageError("--t-crs: the scene has no coordinate system to convert from; leave the option out")
    if existing is not None:
        if (existing.crs is None) != (scene is None):
            have, lack = ("layer", "scene") if scene is None else ("scene", "layer")
            raise NssaError(
                f"{existing.path}: the {have} has a coordinate system and the {lack} has none; write another file"
            )
        if asked is not None and not asked.equals(existing.crs, ignore_axis_order=True):
            raise UsageError(f"--t-crs: rows appended to {existing.path} take its own CRS; leave the option out")
        return existing.crs
    if driver == "GeoJSON" and scene is not None:
        wgs84 = CRS.from_epsg(4326)
        if asked is not None and not asked.equals(wgs84, ignore_axis_order=True):
            raise UsageError("--t-crs: GeoJSON is always longitude and latitude on WGS 84; write .gpkg instead")
        return wgs84
    return asked or scene


class LayerWriter:
    """A layer in the making; get one from `open_writer`.

    As a context manager it commits when the block ends well and aborts when an exception leaves it.

    Attributes
    ----------
    path : Path
        Where the layer will be.
    driver : str
        GDAL's name of the format.
    next_id : int
        ``first_id`` for the next call of `nssa_gis.vector.schema.records`.
    counts : dict of int to int
        Rows written so far by class number.
    """

    def __init__(
        self,
        path: Path,
        *,
        driver: str,
        sink: Sink,
        folder: Path,
        reproject: Reprojection | None,
        next_id: int,
        may_replace: bool,
    ) -> None:
        self.path = path
        self.driver = driver
        self.next_id = next_id
        self.counts: dict[int, int] = {}
        self._sink = sink
        self._folder = folder
        self._reproject = reproject
        self._may_replace = may_replace
        self._waiting: list[Chunk] = []
        self._open = True

    @property
    def count(self) -> int:
        """Rows written so far."""
        return sum(self.counts.values())

    def write(self, chunk: Chunk) -> None:
        """Add rows.

        Parameters
        ----------
        chunk : Chunk
            From `nssa_gis.vector.schema.records` with ``first_id=writer.next_id``.

        Raises
        ------
        NssaError
            The disk is full, or the rows do not fit the format or the CRS.
        """
        if not len(chunk):
            return
        self.next_id = int(chunk.columns["id"][-1]) + 1
        for label, n in zip(*np.unique(chunk.columns["class_id"], return_counts=True), strict=True):
            self.counts[int(label)] = self.counts.get(int(label), 0) + int(n)
        self._waiting.append(chunk)
        if sum(map(len, self._waiting)) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        chunk = Chunk.concat(self._waiting)
        self._waiting = []
        if self._reproject is not None:
            chunk = Chunk(self._reproject(chunk.coords), chunk.columns)
        with _explained(self.path):
            for start in range(0, len(chunk), _FLUSH_ROWS):
                self._sink.append(chunk.take(slice(start, start + _FLUSH_ROWS)))

    def commit(self) -> Path:
        """Finish the layer and move it into place.

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        NssaError
            Something cannot be written; then nothing is left behind and an older file stays as it was.
        """
        try:
            self._flush()
            with _explained(self.path):
                files = self._sink.finish(sorted(self.counts))
                for file in files:
                    _sync(file)
                if self.path.exists() and not self._may_replace:
                    raise NssaError(f"{self.path}: appeared meanwhile; give another name or --overwrite")
                self._move(files)
        finally:
            self.abort()
        return self.path

    def _move(self, files: list[Path]) -> None:
        main = files[-1]
        targets = [self.path if f == main else self.path.with_suffix(f.suffix) for f in files]
        if self.driver == "GPKG":
            # A write-ahead log of a program that has the old file open would be replayed into the new one.
            stale = [self.path.with_name(self.path.name + s) for s in _SQLITE_SIDECARS]
        elif self.driver == "ESRI Shapefile":
            stale = [self.path.with_suffix(s) for s in _SHAPEFILE_SIDECARS]
        else:
            stale = []
        for file in stale:
            if file not in targets:
                file.unlink(missing_ok=True)
        for file, target in zip(files, targets, strict=True):
            os.replace(file, target)

    def abort(self) -> None:
        """Give up: remove all that was written; after a commit, nothing happens."""
        if self._open:
            self._open = False
            self._waiting = []
            with contextlib.suppress(OSError):  # a full disk fails a buffered file once more here
                self._sink.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> LayerWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._open:
            self.commit()


def _sync(file: Path) -> None:
    # Else a power cut after the move could leave an empty file under the final name.
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


#: Less free space than this explains a failed write, bytes.
_NO_ROOM = 1 << 20


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    # pyogrio's errors are RuntimeErrors, pyarrow's IO errors OSErrors.
    try:
        yield
    except (OSError, RuntimeError, sqlite3.Error) as error:
        # GDAL tells of a full disk in the words of whatever failed first
        if shutil.disk_usage(path.parent).free < _NO_ROOM:
            raise NssaError(f"the disk is full: {path}; free some space and try again") from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        one_line = " ".join(str(reason).split())
        raise NssaError(
            f"{path}: cannot be written ({one_line}); free space, close it in other programs, or choose another place"
        ) from error
