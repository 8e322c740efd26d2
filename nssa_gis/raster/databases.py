"""The PROJ databases of the libraries that place a scene: without a fitting one every place is silently wrong."""

from __future__ import annotations

import pyproj
import pyproj.exceptions
import rasterio
from rasterio.errors import CRSError, RasterioError

from nssa_gis.environment import use_own_databases
from nssa_gis.errors import NssaError

#: UTM 33 N: any EPSG code would do, because none is known without a database.
_CODE = 32633


def require_databases() -> None:
    """Check that rasterio and pyproj know the coordinate systems.

    Raises
    ------
    NssaError
        One of them has no database, or that of another version of PROJ.
    """
    use_own_databases()  # again: another package may have named its databases since
    for library, known in (("rasterio", _rasterio_knows), ("pyproj", _pyproj_knows)):
        try:
            known()
        except (CRSError, RasterioError, pyproj.exceptions.ProjError, pyproj.exceptions.DataDirError) as error:
            raise NssaError(
                f"{library} cannot use its PROJ database ({' '.join(str(error).split())}); "
                f"unset PROJ_DATA and PROJ_LIB, or install {library} again"
            ) from error


def _rasterio_knows() -> None:
    with rasterio.Env():
        rasterio.CRS.from_epsg(_CODE)


def _pyproj_knows() -> None:
    pyproj.CRS.from_epsg(_CODE)
