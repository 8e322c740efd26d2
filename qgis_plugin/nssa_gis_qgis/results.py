"""Presentation of result layers in the project: style, field names, number formats, group and metadata."""

import json
from typing import ClassVar

from qgis.core import (
    QgsEditorWidgetSetup,
    QgsFillSymbol,
    QgsMarkerSymbol,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsSingleSymbolRenderer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QDateTime

from .masking import masked
from .texts import tr

GROUP = "NSSA-GIS"
#: Field to its displayed name and, for numbers, the decimals shown.
_FIELDS = {
    "class": ("Class", None),
    "class_id": ("Class number", None),
    "score": ("Confidence", 2),
    "width_m": ("Width [m]", 1),
    "height_m": ("Height [m]", 1),
    "length_m": ("Length [m]", 1),
    "area_m2": ("Area [m²]", 1),
    "x_px": ("Column [px]", 1),
    "y_px": ("Row [px]", 1),
    "w_px": ("Width [px]", 1),
    "h_px": ("Height [px]", 1),
    "scene": ("Scene", None),
    "model": ("Model", None),
    "model_version": ("Model version", None),
}


class ResultStyle(QgsProcessingLayerPostProcessorInterface):
    """Styles a result layer once QGIS has loaded it.

    Parameters
    ----------
    arguments : list of str
        Arguments of the engine.
    facts : dict
        The engine's ``done`` event.
    """

    #: Keeps the objects alive; QGIS holds no reference to them.
    alive: ClassVar[list] = []

    def __init__(self, arguments, facts):
        super().__init__()
        self.arguments, self.facts = arguments, facts
        del ResultStyle.alive[:-20]
        ResultStyle.alive.append(self)

    def postProcessLayer(self, layer, context, feedback):
        """Do it."""
        if not hasattr(layer, "fields"):
            return
        # Processing does not load the style that is stored in a GeoPackage
        if not layer.loadDefaultStyle()[1]:
            layer.setRenderer(_renderer(layer))
        for index, field in enumerate(layer.fields()):
            name, decimals = _FIELDS.get(field.name(), (None, None))
            if name:
                layer.setFieldAlias(index, tr(name))
            if decimals is not None:
                setup = {"Precision": decimals, "Style": "SpinBox", "AllowNull": True}
                layer.setEditorWidgetSetup(index, QgsEditorWidgetSetup("Range", setup))
        metadata = layer.metadata()
        metadata.setTitle(layer.name())
        facts = json.dumps(self.facts, indent=1, ensure_ascii=False, default=str)
        metadata.setAbstract(tr("Objects found by nssa-gis.") + "\n" + masked(facts))
        when = QDateTime.currentDateTime().toString("yyyy-MM-dd HH:mm")
        metadata.addHistoryItem(masked(when + " nssa-gis " + " ".join(self.arguments)))
        layer.setMetadata(metadata)
        layer.triggerRepaint()
        _into_group(layer)


def _renderer(layer):
    colours = {"outline_color": "255,176,0", "color": "255,176,0,40"}
    kinds = getattr(QgsWkbTypes, "GeometryType", QgsWkbTypes)
    if layer.geometryType() == kinds.PointGeometry:
        return QgsSingleSymbolRenderer(QgsMarkerSymbol.createSimple({"name": "circle", "size": "2.2", **colours}))
    return QgsSingleSymbolRenderer(QgsFillSymbol.createSimple({"outline_width": "0.46", **colours}))


def _into_group(layer):
    """Move the layer's entry into our group, at the top of the tree."""
    root = QgsProject.instance().layerTreeRoot()
    node = root.findLayer(layer.id())
    if node is None or node.parent() is None or node.parent().name() == GROUP:
        return
    group = root.findGroup(GROUP) or root.insertGroup(0, GROUP)
    group.insertChildNode(0, node.clone())
    node.parent().removeChildNode(node)
