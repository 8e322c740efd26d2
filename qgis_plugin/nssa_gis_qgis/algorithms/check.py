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
        "Shows which engine is used, how it was found, its versions and the device it would run on. With 'Engine' an "
        "nssa-gis executable can be named that the plugin shall use from now on; empty forgets one that was named."
    )

    def initAlgorithm(self, configuration=None):
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
            set_engine(named)  # only now: it has answered
        report = json.dumps(facts, indent=1, ensure_ascii=False)
        feedback.pushInfo(report)
        found = problems(facts)
        if found:
            raise QgsProcessingException(found)
        return {"REPORT": report}

    def _found(self):
        set_engine("")
        return engine()
