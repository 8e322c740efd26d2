"""QGIS layers as files that the engine can open."""

import math
import os
import re

from qgis.core import (
    Qgis,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingException,
    QgsRasterBandStats,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
)
from qgis.PyQt.QtCore import Qt

from .process import Cancelled
from .texts import tr

#: Longest side of an exported raster, pixels. Larger areas should be downloaded, not read from a web map.
_LONGEST = 20000
#: Metres per pixel of an export if none was asked for.
_USUAL_GSD = 0.20
#: Number of pixels that are checked to see whether an export is blank.
_SAMPLE = 1_000_000
#: What QGIS adds to the name of a raster. The rest is the GDAL name: a path, a /vsi path, a subdataset...
_LOGIN = re.compile(r"\s*\bauthcfg\s*=|\|credential:")
_OPTIONS = re.compile(r"(\|option:[^|]*)+$")


def is_file(layer):
    """Whether GDAL opens a raster layer by its name, so that the engine can."""
    return layer.providerType() == "gdal"


def file_source(layer, feedback):
    """Return the GDAL name of a layer: a path, a /vsi path, a subdataset...

    Raises
    ------
    QgsProcessingException
        It needs a login that only QGIS has.
    """
    return gdal_name(layer.dataProvider().dataSourceUri(), layer.name(), feedback)


def gdal_name(source, name, feedback):
    """Remove from a source what QGIS added; see `file_source`."""
    if _LOGIN.search(source):
        raise QgsProcessingException(
            tr(
                "The layer {} needs a login that is kept in QGIS; the engine cannot use it. Download the raster, or "
                "add it without an authentication configuration."
            ).format(name)
        )
    plain = _OPTIONS.sub("", source)
    if plain != source:
        feedback.pushWarning(tr("The layer {} is opened with options of QGIS, which the engine ignores.").format(name))
    return plain


def engine_crs(layer, feedback):
    """Return the CRS that the engine will find in the layer's file, with a warning if QGIS uses another one."""
    own = layer.dataProvider().crs()
    if layer.crs().isValid() and layer.crs() != own:
        feedback.pushWarning(
            tr(
                "In QGIS the layer {} has the CRS {}, but its file says {}: the engine uses the CRS of the file, and "
                "the objects get it too. If the file is wrong, correct it first (Raster > Projections > Assign "
                "projection)."
            ).format(layer.name(), layer.crs().authid(), own.authid() or tr("none"))
        )
    return own


def crs_text(crs):
    """Name a CRS so that every PROJ knows it; empty for none."""
    if not crs.isValid():
        return ""
    name = crs.authid()
    if name and not name.startswith("USER:"):  # these are known to one QGIS only
        return name
    kinds = getattr(type(crs), "WktVariant", type(crs))
    return crs.toWkt(kinds.WKT_PREFERRED)


def export(layer, extent, gsd, cache, reuse, feedback):
    """Write the part of a layer that GDAL cannot open (web maps, databases) as a GeoTIFF.

    Parameters
    ----------
    layer : QgsRasterLayer
        The input.
    extent : QgsRectangle
        In the layer's CRS.
    gsd : float or None
        Metres per pixel.
    cache : Cache
        Cache for the file.
    reuse : bool
        Whether the file of an earlier export is wanted: an interrupted run goes on with the pixels it began with.
    feedback : QgsProcessingFeedback
        Progress; cancels.

    Returns
    -------
    str
        Path.

    Raises
    ------
    QgsProcessingException
        It cannot be exported, with the reason.
    Cancelled
        By the user.
    """
    gsd = gsd or _USUAL_GSD
    if extent.isNull() or extent.isEmpty():
        raise QgsProcessingException(
            tr(
                "The layer {} is not a raster file ({}): choose an extent or an area of interest; that part is "
                "exported first."
            ).format(layer.name(), layer.providerType())
        )
    across, down = ground_size(layer.crs(), extent)
    columns, rows = max(1, math.ceil(across / gsd)), max(1, math.ceil(down / gsd))
    if max(columns, rows) > _LONGEST:
        raise QgsProcessingException(
            tr(
                "The export of {} at {} m per pixel would have {} x {} pixels; the limit for such a layer is {} a "
                "side. Choose a smaller extent or a larger ground sample distance."
            ).format(layer.name(), gsd, columns, rows, _LONGEST)
        )
    sides = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum(), gsd)
    contents = (layer.providerType(), layer.source(), layer.crs().toWkt(), repr(sides))
    path = cache.path("export", [text.encode() for text in contents], ".tif")
    if reuse and os.path.exists(path):
        feedback.pushInfo(tr("Using the earlier export of {}").format(layer.name()))
        return path
    feedback.pushInfo(tr("Exporting {}: {} x {} pixels of {} m").format(layer.name(), columns, rows, gsd))
    partial = cache.partial(path)
    try:
        _write(layer, extent, (columns, rows), partial, feedback)
        _warn_if_blank(partial, layer, feedback)
        os.replace(partial, path)
    except OSError as error:
        raise QgsProcessingException(tr("Exporting {} failed: {}").format(layer.name(), error)) from None
    finally:
        for leftover in (partial, partial + ".aux.xml"):  # statistics
            if os.path.exists(leftover):
                os.remove(leftover)
    return path


def _write(layer, extent, size, path, feedback):
    pipe = QgsRasterPipe()
    if not pipe.set(layer.dataProvider().clone()):
        raise QgsProcessingException(tr("The layer {} cannot be read for export.").format(layer.name()))
    writer = QgsRasterFileWriter(path)
    writer.setOutputFormat("GTiff")
    writer.setCreateOptions(["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"])
    block = QgsRasterBlockFeedback()
    # a direct connection, because this thread has no event loop for signals of other threads
    kinds = getattr(Qt, "ConnectionType", Qt)
    feedback.canceled.connect(block.cancel, kinds.DirectConnection)
    block.progressChanged.connect(feedback.setProgress, kinds.DirectConnection)
    if feedback.isCanceled():
        block.cancel()
    code = writer.writeRaster(pipe, size[0], size[1], extent, layer.crs(), layer.transformContext(), block)
    if feedback.isCanceled():
        raise Cancelled
    errors = getattr(Qgis, "RasterFileWriterResult", None)
    good = errors.Success if errors is not None else QgsRasterFileWriter.NoError
    if code != good or not os.path.exists(path):
        raise QgsProcessingException(tr("Exporting {} failed: {}").format(layer.name(), code))


def _warn_if_blank(path, layer, feedback):
    """Warn if an export has one colour only: some servers return blank tiles instead of an error."""
    made = QgsRasterLayer(path, "export")  # it owns the provider
    provider = made.dataProvider()
    kinds = getattr(QgsRasterBandStats, "Stats", QgsRasterBandStats)
    for band in range(1, min(provider.bandCount(), 3) + 1):
        found = provider.bandStatistics(band, kinds.Min | kinds.Max, provider.extent(), _SAMPLE)
        if found.maximumValue > found.minimumValue:
            return
    feedback.pushWarning(
        tr("The export of {} has one colour only: check that the layer shows something here, at this scale.").format(
            layer.name()
        )
    )


def ground_size(crs, extent):
    """Width and height of an extent on the ground, metres, along its middle lines."""
    area = QgsDistanceArea()
    area.setSourceCrs(crs, QgsCoordinateTransformContext())
    area.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    centre = extent.center()
    across = area.measureLine(QgsPointXY(extent.xMinimum(), centre.y()), QgsPointXY(extent.xMaximum(), centre.y()))
    down = area.measureLine(QgsPointXY(centre.x(), extent.yMinimum()), QgsPointXY(centre.x(), extent.yMaximum()))
    return across, down
