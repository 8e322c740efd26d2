"""Detect small objects in one raster layer."""

import os

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
    QgsProcessingUtils,
)

from ..parameters import add_options, arguments
from ..rasters import area_file, raster_source
from ..results import ResultStyle
from ..texts import tr
from .base import OBJECTS, NssaAlgorithm

_OPTIONS = (
    "model",
    "classes",
    "confidence",
    "gsd",
    "scale",
    "bands",
    "tile",
    "overlap",
    "tta",
    "merge",
    "device",
    "backend",
    "batch_size",
    "threads",
    "workers",
    "geometry",
    "t_crs",
    "resume",
)


class DetectObjects(NssaAlgorithm):
    """``nssa:detect``."""

    _name = "detect"
    _title = "Detect small objects"
    _tags = ("object detection", "deep learning", "vehicles", "cars", "count", "nssa")
    _help = (
        "Finds objects of a few pixels (by default vehicles) in a raster of any size and gives them as a vector layer "
        "with class, confidence and size.\n\n"
        "Raster files are read directly, tile by tile. Web maps (WMS, XYZ) are exported first at the chosen extent and "
        "ground sample distance. The area of interest may be in any CRS; if only selected features are used, only they "
        "count.\n\n"
        "The default model is made for 0.15 to 0.4 m per pixel. A raster that is finer is reduced, one that is much "
        "coarser is refused unless a ground sample distance is given.\n\n"
        "A cancelled run keeps what it has: run it again with the same values and 'Resume an interrupted run'."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare the parameters."""
        kinds = getattr(QgsProcessing, "SourceType", QgsProcessing)
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        self.addParameter(QgsProcessingParameterExtent("EXTENT", tr("Extent (default: the whole raster)"), optional=True))
        self.addParameter(
            QgsProcessingParameterFeatureSource(
                "AOI", tr("Area of interest"), [kinds.TypeVectorPolygon], optional=True
            )
        )
        add_options(self, _OPTIONS)
        self.addParameter(QgsProcessingParameterVectorDestination("OUTPUT", tr("Objects")))
        heat = QgsProcessingParameterRasterDestination("HEATMAP", tr("Heat map"), optional=True, createByDefault=False)
        self.addParameter(heat)
        numbers = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber)
        radius = QgsProcessingParameterNumber(
            "HEATMAP_RADIUS",
            tr("Radius of the heat map [units of the layer's CRS]"),
            type=numbers.Double,
            defaultValue=50.0,
            minValue=1e-6,
        )
        self.addParameter(radius)
        self.addOutput(QgsProcessingOutputNumber(OBJECTS, tr("Number of objects")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None or not layer.isValid():
            raise QgsProcessingException(self.invalidRasterError(parameters, "INPUT"))
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        if ":" in os.path.splitdrive(output)[1] or not os.path.isdir(os.path.dirname(os.path.abspath(output))):
            raise QgsProcessingException(
                tr("{}: the layer must be a file in a folder that exists; databases are no targets.").format(output)
            )
        folder = os.path.dirname(QgsProcessingUtils.generateTempFilename("nssa"))
        os.makedirs(folder, exist_ok=True)
        extent = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        gsd = self.parameterAsDouble(parameters, "GSD", context) if parameters.get("GSD") else None
        source, exported = raster_source(layer, extent, gsd, folder, feedback)
        given = ["detect", source, "-o", output, *arguments(self, parameters, _OPTIONS, context)]
        if not (exported or extent.isNull() or extent.isEmpty()):
            sides = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
            given.append("--bounds=" + ",".join(map(repr, sides)))
        area = self.parameterAsSource(parameters, "AOI", context)
        if area is not None:
            given += ["--aoi", area_file(area, context, folder)]
        if "--resume" not in given:
            given.append("--overwrite")  # QGIS has asked the user before
        run = self.run_engine(given, folder, feedback)
        if run.done is None:
            # nothing is there to load, and a missing file would be an error of its own
            context.setLayersToLoadOnCompletion({})
            return {}
        results = {"OUTPUT": output, OBJECTS: run.done.get("objects", 0)}
        feedback.pushInfo(tr("{} objects").format(results[OBJECTS]))
        if context.willLoadLayerOnCompletion(output):
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(ResultStyle(given, run.done))
        heat = self.parameterAsOutputLayer(parameters, "HEATMAP", context) if parameters.get("HEATMAP") else ""
        if heat:
            radius = self.parameterAsDouble(parameters, "HEATMAP_RADIUS", context)
            results["HEATMAP"] = _heat_map(output, heat, radius, results[OBJECTS], context, feedback)
        return results


def _heat_map(layer, target, radius, objects, context, feedback):
    """Draw the density of the objects' centres with QGIS' own algorithm."""
    if not objects:
        raise QgsProcessingException(tr("No object was found: there is no heat map to draw. The (empty) layer is written."))
    import processing

    centres = processing.run(
        "native:centroids",
        {"INPUT": layer, "OUTPUT": "TEMPORARY_OUTPUT"},
        context=context,
        feedback=feedback,
        is_child_algorithm=True,
    )["OUTPUT"]
    return processing.run(
        "qgis:heatmapkerneldensityestimation",
        {"INPUT": centres, "RADIUS": radius, "PIXEL_SIZE": radius / 10, "OUTPUT": target},
        context=context,
        feedback=feedback,
        is_child_algorithm=True,
    )["OUTPUT"]
