"""The plugin: registers the provider, and a button that opens the Detect dialog for the active raster layer."""

import os

from qgis.core import QgsApplication, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QMessageBox

from .provider import Provider
from .texts import tr

try:  # Qt6 moved it
    from qgis.PyQt.QtGui import QAction
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

_FOLDER = os.path.dirname(__file__)


class Plugin:
    """The object that QGIS loads; without a window (qgis_process) it registers only the provider."""

    def __init__(self, iface):
        self.iface = iface
        self.provider = None
        self.action = None
        self.dialogs = []  # QGIS keeps only the windows; without their Python objects the dialogs do nothing

    def initProcessing(self):
        """Register the provider."""
        self.provider = Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        """Register the provider, the menu entry and the button."""
        self.initProcessing()
        icon = QIcon(os.path.join(_FOLDER, "icon.svg"))
        self.action = QAction(icon, tr("Detect small objects…"), self.iface.mainWindow())
        self.action.setObjectName("nssaGisDetect")
        self.action.triggered.connect(self.open_dialog)
        self.iface.addRasterToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("NSSA-GIS", self.action)

    def unload(self):
        """Remove everything that was registered."""
        if self.action is not None:
            self.iface.removeRasterToolBarIcon(self.action)
            self.iface.removePluginRasterMenu("NSSA-GIS", self.action)
            self.action = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    def open_dialog(self):
        """Open the Detect dialog, filled in with the active raster layer."""
        try:
            import processing
        except ImportError:
            text = tr("Processing is switched off: enable the Processing plugin in the plugin manager.")
            QMessageBox.warning(self.iface.mainWindow(), "NSSA-GIS", text)
            return
        layer = self.iface.activeLayer()
        values = {"INPUT": layer.id()} if isinstance(layer, QgsRasterLayer) else {}
        dialog = processing.createAlgorithmDialog("nssa:detect", values)
        if dialog is not None:
            self.dialogs = [d for d in self.dialogs if not sip.isdeleted(d)] + [dialog]
            dialog.show()
