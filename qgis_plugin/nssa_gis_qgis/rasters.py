"""QGIS layers as files that the engine can open."""

import math
import os

from qgis.core import (
    Qgis,
    QgsDistanceArea,
    QgsFeatureRequest,
    QgsPointXY,
    QgsProcessingException,
    QgsProviderRegistry,
    QgsRasterFileWriter,
    QgsRasterPipe,
    QgsVectorFileWriter,
)

from .texts import tr

#: Longest side of an exported raster, pixels: more is a job for a download, not for a web map.
_LONGEST = 20000
#: Metres per pixel of an export if none was asked for.
_USUAL_GSD = 0.25


def raster_source(layer, extent, gsd, folder, feedback):
    """Give what the engine shall open for a raster layer.

    Files and everything else that GDAL opens by itself go as they are. Other layers (web maps, databases) are exported
    at the asked extent.

    Parameters
    ----------
    layer : QgsRasterLayer
        The input.
    extent : QgsRectangle
        In the layer's CRS; null for everything.
    gsd : float or None
        Metres per pixel of an export.
    folder : str
        Place for an exported file.
    feedback : QgsProcessingFeedback
        Progress.

    Returns
    -------
    source : str
        Path or GDAL name.
    exported : bool
        Whether it is a temporary file that has the asked extent.

    Raises
    ------
    QgsProcessingException
        It cannot be exported, with the reason.
    """
    if layer.providerType() == "gdal":
        source = layer.dataProvider().dataSourceUri()
        parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
        path = parts.get("path") or source
        if parts.get("layerName") or parts.get("openOptions"):
            path = source  # a subdataset is named whole
        return path, False
    if extent.isNull() or extent.isEmpty():
        raise QgsProcessingException(
            tr("The layer {} is no raster file ({}): choose an extent, and that part is exported first.").format(
                layer.name(), layer.providerType()
            )
        )
    return _export(layer, extent, gsd or _USUAL_GSD, folder, feedback), True


def _export(layer, extent, gsd, folder, feedback):
    across, down = _metres(layer.crs(), extent)
    columns, rows = max(1, math.ceil(across / gsd)), max(1, math.ceil(down / gsd))
    if max(columns, rows) > _LONGEST:
        raise QgsProcessingException(
            tr(
                "Exporting {} at {} m per pixel would make {} x {} pixels; at most {} a side are taken from such a layer. "
                "Choose a smaller extent or a larger ground sample distance."
            ).format(layer.name(), gsd, columns, rows, _LONGEST)
        )
    feedback.pushInfo(tr("Exporting {}: {} x {} pixels of {} m").format(layer.name(), columns, rows, gsd))
    path = os.path.join(folder, "export.tif")
    pipe = QgsRasterPipe()
    if not pipe.set(layer.dataProvider().clone()):
        raise QgsProcessingException(tr("The layer {} cannot be read for export.").format(layer.name()))
    writer = QgsRasterFileWriter(path)
    writer.setOutputFormat("GTiff")
    writer.setCreateOptions(["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"])
    code = writer.writeRaster(pipe, columns, rows, extent, layer.crs(), layer.transformContext())
    errors = getattr(Qgis, "RasterFileWriterResult", None)
    good = errors.Success if errors is not None else QgsRasterFileWriter.NoError
    if code != good or not os.path.exists(path):
        raise QgsProcessingException(tr("Exporting {} failed (code {}).").format(layer.name(), int(code)))
    return path


def _metres(crs, extent):
    """Width and height of an extent on the ground, along its middle lines."""
    area = QgsDistanceArea()
    area.setSourceCrs(crs, _no_transforms())
    area.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    centre = extent.center()
    across = area.measureLine(
        QgsPointXY(extent.xMinimum(), centre.y()), QgsPointXY(extent.xMaximum(), centre.y())
    )
    down = area.measureLine(QgsPointXY(centre.x(), extent.yMinimum()), QgsPointXY(centre.x(), extent.yMaximum()))
    return across, down


def _no_transforms():
    from qgis.core import QgsCoordinateTransformContext

    return QgsCoordinateTransformContext()


def area_file(source, context, folder):
    """Write an area of interest (with its selection and filters) as a GeoPackage that the engine reads.

    Raises
    ------
    QgsProcessingException
        It holds no feature, or cannot be written.
    """
    path = os.path.join(folder, "area.gpkg")
    layer = source.materialize(QgsFeatureRequest())
    if layer is None or layer.featureCount() == 0:
        raise QgsProcessingException(tr("The area of interest holds no feature (is a selection empty?)."))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "area"
    options.skipAttributeCreation = True
    result = QgsVectorFileWriter.writeAsVectorFormatV3(layer, path, context.transformContext(), options)
    kinds = getattr(QgsVectorFileWriter, "WriterError", QgsVectorFileWriter)
    if result[0] != kinds.NoError:
        raise QgsProcessingException(tr("The area of interest cannot be written: {}").format(result[1]))
    return path


__all__ = ["area_file", "raster_source"]
