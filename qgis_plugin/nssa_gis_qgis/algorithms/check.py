"""Check the installation."""

import json

from qgis.core import QgsProcessingException, QgsProcessingOutputString, QgsProcessingParameterFile

from ..engine import Cancelled, EngineError
from ..installation import doctor
from ..settings import engine, engine_setting, set_engine
from ..texts import tr
from .base import NssaAlgorithm


class CheckInstallation(NssaAlgorithm):
    """``nssa:check``."""

    _name = "check"
    _title = "Check the installation"
    _tags = ("doctor", "installation", "engine", "nssa")
    _help = (
        "Shows which engine is used, how it was found, its versions and the device it would run on. With 'Engine' an "
        "nssa-gis executable can be named that the plugin shall use from now on; empty forgets one that was named."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare the parameters."""
        self.addParameter(
            QgsProcessingParameterFile(
                "ENGINE",
                tr("Engine: an nssa-gis executable"),
                optional=True,
                defaultValue=engine_setting() or None,
                fileFilter="* (*)",  # QGIS' own default asks for a dot in the name
            )
        )
        self.addOutput(QgsProcessingOutputString("REPORT", tr("Report")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Run."""
        set_engine(self.parameterAsString(parameters, "ENGINE", context).strip())
        executable, origin = engine()
        feedback.pushInfo(tr("Engine: {} ({})").format(executable, origin))
        try:
            report = json.dumps(doctor(executable, feedback), indent=1, ensure_ascii=False)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        except Cancelled:
            return {}
        feedback.pushInfo(report)
        return {"REPORT": report}
