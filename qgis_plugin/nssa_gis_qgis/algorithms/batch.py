"""Detect small objects in a folder of scenes."""

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ..engine import Cancelled
from ..parameters import add_options, arguments
from ..texts import tr
from .base import OBJECTS, NssaAlgorithm

_OPTIONS = (
    "model",
    "classes",
    "confidence",
    "gsd",
    "bands",
    "crs",
    "tile",
    "overlap",
    "tta",
    "device",
    "batch_size",
    "threads",
    "readers",
    "geometry",
    "of",
    "t_crs",
    "resume",
    "overwrite",
)


class DetectFolder(NssaAlgorithm):
    """``nssa:batch``."""

    _name = "batch"
    _title = "Detect in a folder of scenes"
    _tags = ("object detection", "deep learning", "batch", "folder", "nssa")
    _help = (
        "Finds small objects in every raster of a folder (without its sub-folders) and writes one vector layer for "
        "each scene into another folder. If a scene fails, it is reported and the others go on. With 'Resume', "
        "existing layers stay as they are and interrupted scenes go on."
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        behaviours = getattr(QgsProcessingParameterFile, "Behavior", QgsProcessingParameterFile)
        self.addParameter(QgsProcessingParameterFile("FOLDER", tr("Folder of scenes"), behavior=behaviours.Folder))
        add_options(self, _OPTIONS)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder for the layers")))
        self.addOutput(QgsProcessingOutputNumber(OBJECTS, tr("Number of objects")))

    def processAlgorithm(self, parameters, context, feedback):
        """Run."""
        scenes = self.parameterAsString(parameters, "FOLDER", context)
        target = self.parameterAsString(parameters, "OUTPUT", context)
        given = ["batch", scenes, "-o", target, *arguments(self, parameters, _OPTIONS, context)]
        try:
            run = self.run_engine(given, feedback)
        except Cancelled:
            return {}
        for line in run.output:
            feedback.pushInfo(line)
        if run.failures:
            text = tr("{} scenes failed; the log has the reasons: {}")
            feedback.pushWarning(text.format(len(run.failures), run.log_path))
        return {"OUTPUT": target, OBJECTS: run.objects}
