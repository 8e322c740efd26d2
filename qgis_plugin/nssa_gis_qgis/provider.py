"""The Processing provider ``nssa``."""

import os

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import language
from .algorithms import ALGORITHMS

#: Formats that the engine writes, the usual one first (nssa_gis/vector/target.py).
_FORMATS = ("gpkg", "geojson", "fgb", "parquet", "shp", "csv", "json", "geoparquet")


class Provider(QgsProcessingProvider):
    """All algorithms of the plugin, in one group of the toolbox."""

    def id(self):
        """Return the name used in ``nssa:detect``."""
        return "nssa"

    def name(self):
        """Return the heading in the toolbox."""
        return "NSSA-GIS"

    def longName(self):
        """Return the heading with a short description."""
        return "NSSA-GIS: small object detection"

    def icon(self):
        """Return our own icon."""
        return QIcon(os.path.join(os.path.dirname(__file__), "icon.svg"))

    def supportedOutputVectorLayerExtensions(self):
        """Return the file extensions that the engine writes."""
        return list(_FORMATS)

    def defaultVectorFileExtension(self, hasGeometry=True):
        """Return the format of temporary layers: the one that carries its style."""
        return _FORMATS[0]

    def supportsNonFileBasedOutput(self):
        """Say that databases are not supported as output."""
        return False

    def loadAlgorithms(self):
        """Add every algorithm."""
        language.load()
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
