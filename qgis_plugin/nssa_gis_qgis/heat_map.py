"""The density of the objects as a raster, drawn by QGIS' own algorithm."""

import math

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorLayer,
)

from .rasters import ground_size
from .texts import tr

#: Pixels of the heat map per radius.
_PER_RADIUS = 10


def draw(path, target, metres, context, feedback):
    """Draw the heat map of a layer's objects.

    Parameters
    ----------
    path : str
        The layer's file.
    target : str
        The raster to write.
    metres : float
        Radius on the ground; units of the layer if it has no CRS.
    context, feedback
        Of Processing.

    Returns
    -------
    str
        The raster.

    Raises
    ------
    QgsProcessingException
        QGIS' algorithm failed.
    """
    centres = _run("native:centroids", {"INPUT": path, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    layer = QgsVectorLayer(path, "objects", "ogr")
    crs, middle = layer.crs(), layer.extent().center()
    if crs.isGeographic():
        # a circle on the ground is not a circle in degrees
        crs = utm_of(crs, middle, context)
        feedback.pushInfo(tr("The heat map is drawn in {}, because its radius is in metres.").format(crs.authid()))
        moved = {"INPUT": centres, "TARGET_CRS": crs, "OUTPUT": "TEMPORARY_OUTPUT"}
        centres = _run("native:reprojectlayer", moved, context, feedback)
        radius = metres
    elif crs.isValid():
        radius = metres * _units_per_metre(crs, middle)
    else:
        feedback.pushWarning(tr("The layer has no CRS: the radius of the heat map is in the units of the layer."))
        radius = metres
    values = {"INPUT": centres, "RADIUS": radius, "PIXEL_SIZE": radius / _PER_RADIUS, "OUTPUT": target}
    return _run("qgis:heatmapkerneldensityestimation", values, context, feedback)


def utm_of(crs, point, context):
    """Return the UTM zone around a point of a geographic CRS."""
    wgs84 = QgsCoordinateReferenceSystem("EPSG:4326")
    there = QgsCoordinateTransform(crs, wgs84, context.transformContext()).transform(point)
    zone = min(max(math.floor((there.x() + 180) / 6) + 1, 1), 60)
    return QgsCoordinateReferenceSystem(f"EPSG:{(32600 if there.y() >= 0 else 32700) + zone}")


def _units_per_metre(crs, point):
    """Measure the scale of a map at a point; map units may be feet, or Web Mercator metres far from the equator."""
    units = 100.0
    square = QgsRectangle(point.x() - units / 2, point.y() - units / 2, point.x() + units / 2, point.y() + units / 2)
    across, down = ground_size(crs, square)
    return 2 * units / (across + down)


def _run(name, values, context, feedback):
    import processing

    result = processing.run(name, values, context=context, feedback=feedback, is_child_algorithm=True)
    if feedback.isCanceled():
        raise QgsProcessingException(tr("cancelled"))
    return result["OUTPUT"]
