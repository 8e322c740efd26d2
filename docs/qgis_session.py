"""Runs inside the QGIS desktop that docs/qgis_pictures.py starts: uses the plugin as a user does, then quits.

``report.json`` gets the facts: whether the provider is registered, the number of features, the run time, the memory of
QGIS, and the longest gaps of a 5 ms timer in the window of QGIS (a long gap means that the window was blocked).
"""

import json
import os
import resource
import time
import traceback

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface, plugins

PICTURES, SCENE, FOLDER = (os.environ[name] for name in ("NSSA_PICTURES", "NSSA_SCENE", "NSSA_FOLDER"))
OUTPUT = os.path.join(FOLDER, "cars.gpkg")
#: Seconds that a run may take.
LIMIT = 250
facts = {"error": "the session did not finish"}
gaps = []
state = {}


def memory_mb():
    """Resident memory of QGIS."""
    with open("/proc/self/statm") as handle:
        return int(handle.read().split()[1]) * resource.getpagesize() / 1e6


def shot(name, widget=None):
    """Save a picture of a widget, or of the main window."""
    picture = (widget or iface.mainWindow()).grab()
    picture.save(os.path.join(PICTURES, name + ".png"))


def later(seconds, step):
    """Run a step after some seconds of the event loop; an error ends the session and goes into the report."""

    def guarded():
        try:
            step()
        except Exception:
            facts["error"] = traceback.format_exc()
            finish()

    QTimer.singleShot(int(seconds * 1000), guarded)


def load():
    """Open the scene."""
    iface.mainWindow().resize(1380, 860)
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() in ("Browser", "theLayerOrder", "QgsMapStylingWidget"):
            dock.hide()
    layer = QgsRasterLayer(SCENE, "town")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    state["layer"] = layer
    later(2, toolbox)


def toolbox():
    """Take a picture of the provider in the toolbox."""
    dock = iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
    dock.show()
    dock.resize(420, 300)
    dock.algorithmTree.setFilterString("nssa")
    dock.algorithmTree.expandAll()
    facts["provider"] = QgsApplication.processingRegistry().providerById("nssa") is not None
    later(2, lambda: (shot("toolbox", dock), dock.hide(), later(1, dialog)))


def dialog():
    """Open the dialog through the toolbar's action."""
    plugins["nssa_gis_qgis"].action.trigger()
    state["dialog"] = next(w for w in QApplication.topLevelWidgets() if hasattr(w, "runButton") and w.isVisible())
    state["dialog"].resize(980, 760)
    state["dialog"].setParameters({"INPUT": state["layer"].id(), "OUTPUT": OUTPUT})
    later(2, lambda: (shot("dialog", state["dialog"]), start()))


def start():
    """Press Run and start to time the event loop."""
    facts["memory_before_mb"] = round(memory_mb())
    state["last"], state["tick"] = time.perf_counter(), QTimer()
    state["tick"].timeout.connect(tick)
    state["tick"].start(5)
    state["started"] = time.monotonic()
    state["dialog"].runButton().click()
    later(1, wait)


def tick():
    """Record the time since the last tick."""
    now = time.perf_counter()
    gaps.append(now - state["last"])
    state["last"] = now
    facts["memory_peak_mb"] = max(facts.get("memory_peak_mb", 0), round(memory_mb()))


def wait():
    """Wait for the result layer and show it over the scene."""
    layers = [m for m in QgsProject.instance().mapLayers().values() if m.id() != state["layer"].id()]
    if not layers:
        if time.monotonic() - state["started"] > LIMIT:
            raise RuntimeError("the run did not end")
        later(0.3, wait)
        return
    state["tick"].stop()
    facts["seconds"] = round(time.monotonic() - state["started"], 1)
    facts["ticks"] = len(gaps)
    facts["longest_gaps_ms"] = [round(g * 1000) for g in sorted(gaps)[-5:]]
    facts["features"] = layers[0].featureCount()
    facts["group"] = QgsProject.instance().layerTreeRoot().findGroup("NSSA-GIS") is not None
    state["dialog"].close()
    centre = state["layer"].extent().center()
    change = QgsCoordinateTransform(state["layer"].crs(), QgsProject.instance().crs(), QgsProject.instance())
    part = QgsRectangle(centre.x() - 60, centre.y() - 40, centre.x() + 60, centre.y() + 40)
    iface.mapCanvas().setExtent(change.transformBoundingBox(part))
    iface.mapCanvas().refresh()
    later(8, lambda: (iface.messageBar().clearWidgets(), shot("result"), finish(good=True)))


def finish(good=False):
    """Write the report and quit at once, so that QGIS does not ask to save the project."""
    if good:
        del facts["error"]
    with open(os.path.join(FOLDER, "report.json"), "w") as handle:
        json.dump(facts, handle)
    os._exit(0)


later(6, load)
