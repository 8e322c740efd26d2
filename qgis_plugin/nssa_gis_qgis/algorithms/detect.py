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

from ..areas import Area
from ..engine import Cancelled
from ..heat_map import draw
from ..parameters import add_options, arguments, is_set
from ..rasters import crs_text, engine_crs, export, file_source, is_file
from ..results import ResultStyle
from ..settings import cache
from ..texts import tr
from .base import OBJECTS, NssaAlgorithm

_OPTIONS = (
    "model",
    "classes",
    "confidence",
    "gsd",
    "scale",
    "bands",
    "crs",
    "tile",
    "overlap",
    "tta",
    "device",
    "backend",
    "batch_size",
    "threads",
    "readers",
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
        "Finds objects of a few pixels (by default vehicles) in a raster of any size. The result is a vector layer "
        "with class, score and size.\n\n"
        "Raster files are read directly, tile by tile. Web maps (WMS, XYZ) are exported first, at the chosen extent "
        "and ground sample distance. The area of interest may be in any CRS. If you also give an extent, only the "
        "part inside it is processed.\n\n"
        "Model: leave it empty for the built-in model aerial-vehicles. aerial-4 finds vehicles, airliners, ships and "
        "storage tanks. For your own model, give the path of its .safetensors file.\n\n"
        "The default model is made for 0.15 to 0.4 m per pixel. A finer raster is reduced. A much coarser one is "
        "refused unless you give a ground sample distance.\n\n"
        "A cancelled run keeps the finished rows of tiles. To continue, run again with the same values and 'Resume "
        "an interrupted run'. The layer must then be a file, not a temporary layer."
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        kinds = getattr(QgsProcessing, "SourceType", QgsProcessing)
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Raster layer")))
        self.addParameter(
            QgsProcessingParameterExtent("EXTENT", tr("Extent (default: the whole raster)"), optional=True)
        )
        self.addParameter(
            QgsProcessingParameterFeatureSource("AOI", tr("Area of interest"), [kinds.TypeVectorPolygon], optional=True)
        )
        add_options(self, _OPTIONS)
        self.addParameter(QgsProcessingParameterVectorDestination("OUTPUT", tr("Objects")))
        heat = QgsProcessingParameterRasterDestination("HEATMAP", tr("Heat map"), optional=True, createByDefault=False)
        self.addParameter(heat)
        numbers = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber)
        radius = QgsProcessingParameterNumber(
            "HEATMAP_RADIUS",
            tr("Radius of the heat map [m]"),
            type=numbers.Double,
            defaultValue=50.0,
            minValue=1e-6,
        )
        self.addParameter(radius)
        self.addOutput(QgsProcessingOutputNumber(OBJECTS, tr("Number of objects")))

    def processAlgorithm(self, parameters, context, feedback):
        """Run."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None or not layer.isValid():
            raise QgsProcessingException(self.invalidRasterError(parameters, "INPUT"))
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        if ":" in os.path.splitdrive(output)[1] or not os.path.isdir(os.path.dirname(os.path.abspath(output))):
            raise QgsProcessingException(
                tr("{}: the layer must be a file in an existing folder; databases are not supported.").format(output)
            )
        options = arguments(self, parameters, _OPTIONS, context)
        if "--resume" not in options:
            options.append("--overwrite")  # QGIS has already asked the user
        files = cache()
        files.clean()
        try:
            source, where = self._inputs(layer, parameters, files, context, feedback)
            given = ["detect", source, "-o", output, *options, *where]
            run = self.run_engine(given, feedback)
        except Cancelled:
            _tell_how_to_go_on(output, feedback)
            # without this QGIS would report a missing file as a second error
            context.setLayersToLoadOnCompletion({})
            return {}
        feedback.pushInfo(tr("{} objects").format(run.objects))
        results = {"OUTPUT": output, OBJECTS: run.objects, **self._heat_map(output, run, parameters, context, feedback)}
        if context.willLoadLayerOnCompletion(output):
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(ResultStyle(given, run.done))
        return results

    def _inputs(self, layer, parameters, files, context, feedback):
        """Return what the engine opens, and its arguments for the area."""
        extent = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        area = self._area(parameters, layer.crs(), context)
        if not is_file(layer):
            if area is not None:
                around = area.moved(layer.crs(), context).box()
                extent = around if extent.isNull() else extent.intersect(around)
            gsd = self.parameterAsDouble(parameters, "GSD", context) if is_set(parameters, "GSD") else None
            again = self.parameterAsBool(parameters, "RESUME", context)
            source = export(layer, extent, gsd, files, again, feedback)
            return source, [] if area is None else ["--aoi", area.file(files, context)]
        source, own = file_source(layer, feedback), engine_crs(layer, feedback)
        if area is not None:
            if layer.crs().isValid() and layer.crs() != own:
                # the area was drawn over the layer as QGIS shows it: the coordinates are right, only the CRS differs
                area = area.moved(layer.crs(), context).named(own)
            return source, ["--aoi", area.file(files, context)]
        if extent.isNull() or extent.isEmpty():
            return source, []
        sides = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        bounds = ["--bounds=" + ",".join(map(repr, sides))]
        return source, bounds + (["--bounds-crs", crs_text(own)] if own.isValid() else [])

    def _area(self, parameters, crs, context):
        """Return the area of interest, cut to the extent if there is one; None without both.

        An extent without a CRS is in that of the raster layer, as QGIS has it everywhere.
        """
        if not is_set(parameters, "AOI"):
            return None
        source = self.parameterAsSource(parameters, "AOI", context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, "AOI"))
        area = Area.read(source)
        if not is_set(parameters, "EXTENT"):
            return area
        return area.clipped(self.parameterAsExtentGeometry(parameters, "EXTENT", context, crs), crs, context)

    def _heat_map(self, output, run, parameters, context, feedback):
        """Return the result of the heat map if it is wanted and can be drawn; the layer is kept in any case."""
        target = self.parameterAsOutputLayer(parameters, "HEATMAP", context) if is_set(parameters, "HEATMAP") else ""
        if not target:
            return {}
        if not run.objects:
            feedback.pushWarning(tr("No objects were found, so there is no heat map."))
        else:
            radius = self.parameterAsDouble(parameters, "HEATMAP_RADIUS", context)
            try:
                return {"HEATMAP": draw(output, target, radius, context, feedback)}
            except QgsProcessingException as error:
                feedback.pushWarning(tr("The heat map could not be drawn: {}").format(error))
        wanted = context.layersToLoadOnCompletion()
        context.setLayersToLoadOnCompletion({name: wanted[name] for name in wanted if name != target})
        return {}


def _tell_how_to_go_on(output, feedback):
    if not os.path.exists(output + ".journal"):
        return
    if _whole(output).startswith(_whole(QgsProcessingUtils.tempFolder())):
        feedback.pushWarning(
            tr(
                "A run into a temporary layer cannot be resumed, because each run gets a new temporary file. Choose a "
                "file as output."
            )
        )
    else:
        feedback.pushInfo(tr("To continue: run again with the same values and 'Resume an interrupted run'."))


def _whole(path):
    return os.path.normcase(os.path.abspath(path))
