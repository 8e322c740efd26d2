"""What a file is, by its name and by what GDAL makes of it; no pixel is read."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from nssa_gis.files import SOFTWARE

#: Formats that many builds of GDAL lack, by extension, with GDAL's name of the driver.
_RARE_DRIVERS = {
    ".avif": "AVIF",
    ".ecw": "ECW",
    ".fits": "FITS",
    ".h4": "HDF4",
    ".h5": "HDF5",
    ".hdf": "HDF4",
    ".heic": "HEIF",
    ".j2k": "JP2OpenJPEG",
    ".jp2": "JP2OpenJPEG",
    ".jxl": "JPEGXL",
    ".kea": "KEA",
    ".nc": "netCDF",
    ".sid": "MrSID",
    ".webp": "WEBP",
}


def missing_driver(path: str | os.PathLike[str]) -> str | None:
    """Name the driver of GDAL that a file needs by its extension and that is not installed; None if there is none."""
    driver = _RARE_DRIVERS.get(Path(path).suffix.lower())
    with rasterio.Env() as env:
        return driver if driver is not None and driver not in env.drivers() else None


def image_files(path: str | os.PathLike[str]) -> list[str]:
    """List the files of an image, itself first; empty if GDAL does not open it as an image."""
    with warnings.catch_warnings(), rasterio.Env():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path, sharing=False) as data:
                found = data.count > 0 or bool(data.subdatasets)
                return [os.fspath(path), *(file for file in data.files if file != os.fspath(path))] if found else []
        except Exception:  # whatever a driver says of a file that is no image of its own
            return []


def drawn_here(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that nssa-gis drew: a preview or a diagram."""
    if Path(path).suffix.lower() != ".png":
        return False
    with warnings.catch_warnings(), rasterio.Env():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path, sharing=False) as data:
                return bool(data.tags().get("Software") == SOFTWARE)
        except Exception:  # a damaged scene is told when it is its turn
            return False
