"""Pure geometry: no network, no open files."""

from nssa_gis.geo.aoi import Area
from nssa_gis.geo.frame import Frame
from nssa_gis.geo.grid import TileGrid
from nssa_gis.geo.mapping import GroundControlPoint, RationalPolynomials

__all__ = ["Area", "Frame", "GroundControlPoint", "RationalPolynomials", "TileGrid"]
