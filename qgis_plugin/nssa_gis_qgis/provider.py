"""The Processing provider ``nssa``."""

import os

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS


class Provider(QgsProcessingProvider):
    """All algorithms of the plugin, under one heading of the toolbox."""

    def id(self):
        """Give the name used in ``nssa:detect``."""
        return "nssa"

    def name(self):
        """Give the heading in the toolbox."""
        return "NSSA-GIS"

    def longName(self):  # noqa: N802
        """Give the heading with what it is about."""
        return "NSSA-GIS: small object detection"

    def icon(self):
        """Give our own icon."""
        return QIcon(os.path.join(os.path.dirname(__file__), "icon.svg"))

    def loadAlgorithms(self):  # noqa: N802
        """Add one of each."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
