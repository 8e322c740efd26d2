"""An opened image: its properties, its frame, and its raw pixels with their validity."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import numpy as np
import pyogrio
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from nssa_gis.errors import NssaError, memory_error
from nssa_gis.files import check_name, masked
from nssa_gis.geo.frame import Frame
from nssa_gis.geo.mapping import GroundControlPoint, RationalPolynomials
from nssa_gis.raster.cache import bounded_gdal_cache
from nssa_gis.raster.databases import require_databases
from nssa_gis.raster.identify import missing_driver
from nssa_gis.raster.plausibility import varies_like_an_image

#: Exceptions that rasterio raises when GDAL fails.
READ_ERRORS = (RasterioError, CPLE_BaseError, OSError, UnicodeError)

Box = tuple[int, int, int, int]


def open_scene(path: str | os.PathLike[str], crs: pyproj.CRS | None = None, *, use_alpha: bool = True) -> Scene:
    """Open an image: a local file, a ``/vsi`` path, or an ``http(s)`` address.

    Parameters
    ----------
    path : str or path
    crs : pyproj.CRS, optional
        Of the map coordinates, for a file that states none, such as a picture with a world file. A file that states
        its own keeps it, and `Scene.notes` says so.
    use_alpha : bool
        Whether a band that is tagged as opacity masks pixels.

    Returns
    -------
    Scene
        A context manager; the caller closes it.

    Raises
    ------
    NssaError
        The file does not exist, is not an image (a vector layer, a folder), is truncated, has no bands or complex
        numbers, or contains several images; or the installed libraries do not know the coordinate systems.
    """
    return Scene(path, crs, use_alpha)


class Scene:
    """An opened image. While one is open, GDAL's block cache is bounded.

    Attributes
    ----------
    path : str
        Path as given.
    name : str
        File name without folder and extension.
    frame : Frame
        Size, CRS and mapping.
    count : int
        Bands, alpha included.
    dtype : numpy.dtype
        Type that can hold the values of all bands.
    nodata : float or None
        Of the first band.
    nodata_values : tuple of float or None
        Of every band.
    band_names : tuple of str
        Descriptions, empty where a band has none.
    color_interp : tuple of str
        ``red``, ``gray``, ``alpha``, ``palette``, ``undefined``... by band.
    alpha : int or None
        Band (from 1) that holds the opacity. A band that is tagged so but varies like an image (near infrared, say) is
        none.
    inverted_top : int or None
        Highest value of a scene that stores white as 0 (MINISWHITE); its values are inverted when they are read.
    notes : tuple of str
        What the user should know of the file before trusting a result.
    palette : ndarray of uint8, shape (n, 4), or None
        Red, green, blue, opacity by pixel value, if the first band is a palette.
    block : tuple of int
        Width and height of a stored block.
    overview_factors : tuple of int
        Decimation of the overviews.
    """

    def __init__(self, path: str | os.PathLike[str], crs: pyproj.CRS | None = None, use_alpha: bool = True) -> None:
        self.path = os.fspath(path)
        check_name(self.path, "the scene")
        require_databases()
        self.name = Path(masked(urlsplit(self.path).path if "://" in self.path else self.path)).stem
        with contextlib.ExitStack() as held:
            held.enter_context(bounded_gdal_cache())
            self.dataset = held.enter_context(_open(self.path))
            try:
                with rasterio.Env():
                    self._describe(crs, use_alpha)
            except READ_ERRORS as error:
                raise damaged(self.path, error) from error
            self._held = held.pop_all()

    def _describe(self, crs: pyproj.CRS | None, use_alpha: bool) -> None:
        data = self.dataset
        _refuse_unusable(self.path, data)
        self.count: int = data.count
        self.dtype = np.result_type(*data.dtypes)
        self.nodata_values: tuple[float | None, ...] = data.nodatavals
        self.nodata = self.nodata_values[0]
        self.band_names = tuple(text or "" for text in data.descriptions)
        self.color_interp = tuple(c.name for c in data.colorinterp)
        self.alpha = self.color_interp.index("alpha") + 1 if "alpha" in self.color_interp else None
        self.palette = _palette(data) if self.color_interp[0] == "palette" else None
        self.block: tuple[int, int] = (data.block_shapes[0][1], data.block_shapes[0][0])
        self.overview_factors = tuple(int(f) for f in data.overviews(1))
        kinds = {flag for flags in data.mask_flag_enums for flag in flags}
        tagged = self.alpha
        self.inverted_top = _inverted_top(data)
        self.notes = tuple(_notes(self.path, data))
        if not use_alpha:
            self.alpha = None
        elif self.alpha is not None and varies_like_an_image(data, self.alpha):
            self.notes += (
                f"{self.path}: band {self.alpha} is tagged as opacity (alpha) but varies like an image; "
                "it is not used as a mask",
            )
            self.alpha = None
        self._mask_band = tagged is None and not kinds <= {MaskFlags.all_valid, MaskFlags.nodata}
        self.frame = _frame(self.path, data, crs)
        if crs is not None and not (self.frame.crs is not None and crs.equals(self.frame.crs, ignore_axis_order=True)):
            own = f"it states its own CRS, {self.frame.crs.name}" if self.frame.crs else "it has no georeference"
            self.notes += (f"{self.path}: {own}; --crs {crs.name} is not used",)
        _refuse_no_degrees(self.path, self.frame)

    @property
    def local(self) -> bool:
        """Whether the pixels are in a plain file on this machine."""
        return os.path.isfile(self.path)

    @property
    def files(self) -> list[str]:
        """All local files that the scene consists of: sidecars, the container, the sources of a VRT."""
        found = [self.path, *self.dataset.files, *_container(self.path)]
        for path in found:  # the list grows: a VRT lists its own sources only
            if path.lower().endswith(".vrt") and path != self.path and os.path.isfile(path):
                with contextlib.suppress(NssaError), _open(path) as source:
                    found += [file for file in source.files if file not in found]
        return [path for path in dict.fromkeys(found) if os.path.exists(path)]

    @property
    def masked(self) -> bool:
        """Whether the file marks invalid pixels: by nodata, alpha or a mask band."""
        return self._mask_band or self.alpha is not None or any(v is not None for v in self.nodata_values)

    def open_handle(self, overview: int | None = None) -> rasterio.DatasetReader:
        """Open the file again, for another thread, or at overview ``overview`` (0 is the finest)."""
        options = {} if overview is None else {"overview_level": overview}
        return _open(self.path, **options)

    def read(
        self, handle: rasterio.DatasetReader, bands: tuple[int, ...], box: Box
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Read raw pixels.

        Parameters
        ----------
        handle : rasterio.DatasetReader
            From `open_handle`.
        bands : tuple of int
            From 1.
        box : tuple of int
            ``x0, y0, x1, y1`` inside the handle's pixels.

        Returns
        -------
        pixels : ndarray of the scene's dtype, shape (len(bands), h, w)
        valid : ndarray of bool, shape (h, w), or None
            None where all are valid. Invalid is: nodata in all of ``bands``, opacity 0, masked out, not
            a finite number in one of ``bands``.

        Raises
        ------
        NssaError
            The file is damaged or has disappeared.
        """
        x0, y0, x1, y1 = box
        window = Window(x0, y0, x1 - x0, y1 - y0)
        # a band that is asked for is data, whatever its tag says
        alpha = None if self.alpha in bands else self.alpha
        wanted = list(bands) if alpha is None else [*bands, alpha]
        try:
            with rasterio.Env():
                pixels = handle.read(wanted, window=window, out_dtype=self.dtype)
                mask = handle.read_masks(bands[0], window=window) if self._mask_band else None
        except READ_ERRORS as error:
            if short := memory_error(error):
                raise short from error
            raise NssaError(
                f"{self.path}: the pixels {x0},{y0} to {x1},{y1} cannot be read; the file is truncated or "
                f"damaged, get it again ({_reason(error)})"
            ) from error
        valid = np.ones(pixels.shape[1:], np.bool_) if mask is None else mask > 0
        if alpha is not None:
            pixels, opacity = pixels[:-1], pixels[-1]
            valid &= opacity > 0
        self._mark_invalid(valid, pixels, bands)
        if self.inverted_top is not None:
            pixels = np.asarray(self.inverted_top - pixels, pixels.dtype)
        return pixels, None if valid.all() else valid

    def _mark_invalid(self, valid: NDArray[np.bool_], pixels: NDArray[np.generic], bands: tuple[int, ...]) -> None:
        values = [self.nodata_values[b - 1] for b in bands]
        if self.alpha is None and all(v is not None and not np.isnan(v) for v in values):
            # Nodata in all bands: a dark pixel of an RGB scene with nodata 0 may be 0 in one band.
            same = pixels[0] == np.array(values[0]).astype(pixels.dtype)
            for band, value in zip(pixels[1:], values[1:], strict=True):
                same &= band == np.array(value).astype(pixels.dtype)
            valid &= ~same
        if self.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)

    def close(self) -> None:
        """Close the file."""
        self._held.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: str, **options: object) -> rasterio.DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.Env():  # without an environment GDAL prints its messages itself
                return rasterio.open(path, sharing=False, **options)
        except READ_ERRORS as error:
            raise memory_error(error) or NssaError(_why_not_open(path, error)) from error


def _container(path: str) -> list[str]:
    """Files in the name of a subdataset or a ``/vsi`` path: ``GPKG:file.gpkg:table``, ``/vsizip/file.zip/a.tif``."""
    parts = [path, *(path[i + 1 :] for i, c in enumerate(path) if c == ":")]
    if path.startswith("/vsi"):
        parts.append(path.partition("/vsi")[2].partition("/")[2])
    found = []
    for part in parts:
        name = part.strip('"')
        while name and not os.path.isfile(name):
            name = name[: max(name.rfind(":"), name.rfind("/"), name.rfind('"'), 0)]
        found += [name] if name else []
    return found


def _why_not_open(path: str, error: BaseException) -> str:
    if "://" in path or path.startswith("/vsi"):
        return f"{path}: cannot be opened; check the address ({_reason(error)})"
    if not os.path.exists(path):
        return f"{path}: no such file; check the path"
    if os.path.isdir(path):
        return f"{path}: this is a folder; give one image (a folder of images is for the batch command)"
    if not os.access(path, os.R_OK):
        return f"{path}: no permission to read it"
    if os.path.getsize(path) == 0:
        return f"{path}: the file is empty; get it again"
    if "codec" in _reason(error).lower() or "compression" in _reason(error).lower():
        return _missing_codec(path, error)
    with open(path, "rb") as file:
        head = file.read(4)
    if head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return f"{path}: the TIFF is truncated or damaged; get it again ({_reason(error)})"
    if (driver := missing_driver(path)) is not None:
        return (
            f"{path}: this installation cannot read the format (its GDAL has no driver {driver}); "
            "convert it to GeoTIFF with a program that can"
        )
    try:
        layers = pyogrio.list_layers(path)
    except Exception:  # pyogrio raises many exceptions; all of them mean that this is not a vector file
        layers = []
    if len(layers):
        return f"{path}: this is a vector layer, not an image; give a raster such as a GeoTIFF"
    return f"{path}: not an image that GDAL can read; give a raster such as a GeoTIFF"


def damaged(path: str, error: BaseException) -> NssaError:
    """Say that a file opens but cannot be used."""
    if short := memory_error(error):
        return short
    if "missing codec" in _reason(error).lower():
        return NssaError(_missing_codec(path, error))
    return NssaError(f"{path}: the file is truncated or damaged; get it again ({_reason(error)})")


def _missing_codec(path: str, error: BaseException) -> str:
    return (
        f"{path}: this installation cannot read its compression ({_reason(error)}); write it anew with another one, "
        "such as DEFLATE, where a program reads it"
    )


def _reason(error: BaseException) -> str:
    deepest = error
    while deepest.__cause__ is not None or deepest.__context__ is not None:
        deepest = deepest.__cause__ or deepest.__context__  # type: ignore[assignment]
    text = " ".join(str(deepest).split())
    return text if len(text) <= 160 else text[:157] + "..."


def _inverted_top(data: rasterio.DatasetReader) -> int | None:
    """Highest value of a scene in which white is 0; None for all others."""
    if data.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") != "YES" or np.dtype(data.dtypes[0]).kind != "u":
        return None
    bits = int(data.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8 * np.dtype(data.dtypes[0]).itemsize))
    return (1 << bits) - 1


def _notes(path: str, data: rasterio.DatasetReader) -> Iterator[str]:
    """Tell of further images in the file, and of a place that depends on the height of the ground."""
    if data.subdatasets:
        shown = ", ".join(data.subdatasets[:8])
        yield (
            f"{path}: it holds {len(data.subdatasets)} images and only the first one is used; "
            f"give another one by its name: {shown}"
        )
    if data.transform.is_identity and not data.gcps[0] and data.rpcs is not None:
        yield (
            f"{path}: its place comes from the sensor model (RPC) at one height, {data.rpcs.height_off:g} m; objects "
            "on higher or lower ground lie beside their true place; use an orthorectified scene for exact places"
        )


def _refuse_unusable(path: str, data: rasterio.DatasetReader) -> None:
    if data.count == 0:
        if data.subdatasets:
            shown = ", ".join(data.subdatasets[:8])
            raise NssaError(f"{path}: it holds {len(data.subdatasets)} images; give one of them: {shown}")
        raise NssaError(f"{path}: it has no bands; give an image")
    bad = [d for d in data.dtypes if np.dtype(d if d != "complex_int16" else "complex64").kind == "c"]
    if bad:
        raise NssaError(f"{path}: its values are complex numbers ({bad[0]}); give an amplitude image")
    _refuse_cut_short(path, data)


def _refuse_cut_short(path: str, data: rasterio.DatasetReader) -> None:
    """Compare the stated ends of some blocks of a TIFF with the length of the file; no pixel is read."""
    if data.driver != "GTiff" or not os.path.isfile(path):
        return
    size = os.path.getsize(path)
    height, width = data.block_shapes[0]
    cols, rows = -(-data.width // width), -(-data.height // height)
    for band in {1, data.count}:
        for col, row in {(0, 0), (cols - 1, rows - 1), (0, rows - 1), (cols // 2, rows // 2)}:
            start = data.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
            length = data.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
            if start is not None and length is not None and int(start) + int(length) > size:
                raise NssaError(
                    f"{path}: the TIFF is truncated (it has {size} bytes and needs "
                    f"{int(start) + int(length)} or more); get it again"
                )


def _palette(data: rasterio.DatasetReader) -> NDArray[np.uint8]:
    entries = data.colormap(1)
    table = np.zeros((max(entries) + 1, 4), np.uint8)
    for value, colour in entries.items():
        table[value] = colour
    return table


def _frame(path: str, data: rasterio.DatasetReader, named: pyproj.CRS | None) -> Frame:
    """Use the first of geotransform, control points and RPC, as GDAL does."""
    crs, transform, rpcs = data.crs, None, None
    gcps: tuple[GroundControlPoint, ...] = ()
    points, points_crs = data.gcps
    if not data.transform.is_identity:
        transform = data.transform
    elif points:
        crs, gcps = points_crs, tuple(GroundControlPoint(p.col, p.row, p.x, p.y) for p in points)
    elif data.rpcs is not None:
        crs, rpcs = rasterio.CRS.from_epsg(4326), _rational(data.rpcs)
    else:
        crs = None  # a CRS without a mapping: map coordinates are pixels, and those have no CRS
    try:
        known = pyproj.CRS.from_wkt(crs.to_wkt()) if crs else named if transform is not None or gcps else None
        return Frame(data.width, data.height, known, transform, gcps, rpcs)
    except (ValueError, pyproj.exceptions.ProjError) as error:
        raise NssaError(f"{path}: its georeference cannot be used: {error}; repair it with gdal_edit") from error


def _refuse_no_degrees(path: str, frame: Frame) -> None:
    """Raise an error where a CRS in degrees is said of coordinates that are none."""
    if frame.crs is None or not frame.crs.is_geographic or frame.crs.is_derived:
        return
    x, y = frame.to_map([0, frame.width], [0, frame.height])
    turn = 360 * np.pi / 180 / frame.crs.axis_info[0].unit_conversion_factor
    # longitudes go on beyond the antimeridian; a scene of the world reaches a little over the poles
    if np.abs(y).max() > 0.3 * turn or np.abs(x).max() > 1.6 * turn:
        raise NssaError(
            f"{path}: its coordinates, such as {x[0]:.0f}, {y[0]:.0f}, are no longitude and latitude, so its CRS "
            f"cannot be {frame.crs.name}; name the right one (--crs, or gdal_edit -a_srs)"
        )


def _rational(rpc: rasterio.rpc.RPC) -> RationalPolynomials:
    return RationalPolynomials(
        line_num=tuple(rpc.line_num_coeff),
        line_den=tuple(rpc.line_den_coeff),
        samp_num=tuple(rpc.samp_num_coeff),
        samp_den=tuple(rpc.samp_den_coeff),
        # RPC counts pixel centres, frames count pixel edges.
        line_off=rpc.line_off + 0.5,
        line_scale=rpc.line_scale,
        samp_off=rpc.samp_off + 0.5,
        samp_scale=rpc.samp_scale,
        lon_off=rpc.long_off,
        lon_scale=rpc.long_scale,
        lat_off=rpc.lat_off,
        lat_scale=rpc.lat_scale,
        height_off=rpc.height_off,
        height_scale=rpc.height_scale,
        # Without a terrain model the mean height of the scene is the best single value; GDAL would use 0.
        height=rpc.height_off,
    )
