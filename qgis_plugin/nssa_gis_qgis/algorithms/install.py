"""Install or update the engine."""

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ..engine import Cancelled, EngineError
from ..installation import INDEXES
from ..settings import installation, proxies
from ..texts import tr
from .base import NssaAlgorithm


class InstallEngine(NssaAlgorithm):
    """``nssa:install``."""

    _name = "install"
    _title = "Install or update the engine"
    _tags = ("installation", "engine", "pip", "nssa")
    _help = (
        "Creates an environment in your QGIS profile and installs the detection engine into it: about 1.3 GB with "
        "the CPU build of PyTorch. Nothing is installed into QGIS. The old engine is replaced only after the new one "
        "has been verified.\n\n"
        "Without internet: give a folder with all wheels (made by pip download nssa-gis -d FOLDER on a similar "
        "computer). The proxy settings of QGIS are passed on."
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.addParameter(
            QgsProcessingParameterString(
                "PACKAGE", tr("Package: name, wheel or source folder"), defaultValue="nssa-gis"
            )
        )
        self.addParameter(
            QgsProcessingParameterFile(
                "PYTHON",
                tr("Python 3.10 to 3.13 (default: the first one found)"),
                optional=True,
                fileFilter="* (*)",  # the default of QGIS asks for a dot in the name
            )
        )
        choices = [tr("CPU (small)"), tr("NVIDIA GPU (CUDA)"), tr("PyPI's default")]
        self.addParameter(QgsProcessingParameterEnum("ACCELERATOR", tr("PyTorch"), options=choices, defaultValue=0))
        behaviours = getattr(QgsProcessingParameterFile, "Behavior", QgsProcessingParameterFile)
        self.addParameter(
            QgsProcessingParameterFile(
                "WHEELS",
                tr("Folder of wheels (offline installation)"),
                behavior=behaviours.Folder,
                optional=True,
            )
        )
        self.addOutput(QgsProcessingOutputString("ENGINE", tr("Executable")))

    def processAlgorithm(self, parameters, context, feedback):
        """Run."""
        place = installation()
        accelerator = list(INDEXES)[self.parameterAsEnum(parameters, "ACCELERATOR", context)]
        try:
            facts = place.install(
                self.parameterAsString(parameters, "PACKAGE", context).strip() or "nssa-gis",
                self.parameterAsString(parameters, "PYTHON", context),
                accelerator,
                self.parameterAsString(parameters, "WHEELS", context),
                proxies(feedback),
                feedback,
            )
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        except Cancelled:
            feedback.pushInfo(tr("Cancelled; nothing was changed."))
            return {}
        feedback.pushInfo(str(facts))
        return {"ENGINE": place.executable}
