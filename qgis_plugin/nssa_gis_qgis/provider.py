"""The Processing provider ``nssa``."""

import os

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import language
from .algorithms import ALGORITHMS

#: Formats that the engine writes, the usual one first (nssa_gis/vector/writers.py).
_FORMATS = ("gpkg", "geojson", "fgb", "parquet", "shp", "csv", "json", "geoparquet")


class Provider(QgsProcessingProvider):
    """All algorithms of the plugin, under one heading of the toolbox."""

    def id(self):
        """Give the name used in ``nssa:detect``."""
        return "nssa"

    def name(self):
        """Give the heading in the toolbox."""
        return "NSSA-GIS"

    def longName(self):
        """Give the heading with what it is about."""
        return "NSSA-GIS: small object detection"

    def icon(self):
        """Give our own icon."""
        return QIcon(os.path.join(os.path.dirname(__file__), "icon.svg"))

    def supportedOutputVectorLayerExtensions(self):
        """Give what the engine writes."""
        return list(_FORMATS)

    def defaultVectorFileExtension(self, hasGeometry=True):
        """Give the format of temporary layers: the one that carries its style."""
        return _FORMATS[0]

    def supportsNonFileBasedOutput(self):
        """Say that databases are no targets."""
        return False

    def loadAlgorithms(self):
        """Add one of each."""
        language.load()
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
