"""Check the installation."""

import json

from qgis.core import QgsProcessingException, QgsProcessingOutputString, QgsProcessingParameterFile

from ..engine import Cancelled, EngineError
from ..installation import doctor, problems
from ..settings import engine, engine_setting, set_engine
from ..texts import tr
from .base import NssaAlgorithm


class CheckInstallation(NssaAlgorithm):
    """``nssa:check``."""

    _name = "check"
    _title = "Check the installation"
    _tags = ("doctor", "installation", "engine", "nssa")
    _help = (
        "Shows the engine, how it was found, its versions and the device that it runs on. Under 'Engine' you can "
        "give the path of an nssa-gis executable, which the plugin then uses. An empty path clears the setting."
    )

    def initAlgorithm(self, configuration=None):
        """Declare the parameters."""
        self.addParameter(
            QgsProcessingParameterFile(
                "ENGINE",
                tr("Engine: an nssa-gis executable"),
                optional=True,
                defaultValue=engine_setting() or None,
                fileFilter="* (*)",  # the default of QGIS asks for a dot in the name
            )
        )
        self.addOutput(QgsProcessingOutputString("REPORT", tr("Report")))

    def processAlgorithm(self, parameters, context, feedback):
        """Run."""
        named = self.parameterAsString(parameters, "ENGINE", context).strip()
        try:
            executable, origin = (named, tr("named here")) if named else self._found()
            feedback.pushInfo(tr("Engine: {} ({})").format(executable, origin))
            facts = doctor(executable, feedback)
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        except Cancelled:
            return {}
        if named:
            set_engine(named)  # stored only after it has answered
        report = json.dumps(facts, indent=1, ensure_ascii=False)
        feedback.pushInfo(report)
        found = problems(facts)
        if found:
            raise QgsProcessingException(found)
        return {"REPORT": report}

    def _found(self):
        set_engine("")
        return engine()
