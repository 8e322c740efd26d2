"""Remove the engine."""

from qgis.core import QgsProcessingException

from ..engine import EngineError
from ..settings import installation
from ..texts import tr
from .base import NssaAlgorithm


class RemoveEngine(NssaAlgorithm):
    """``nssa:remove``."""

    _name = "remove"
    _title = "Remove the engine"
    _tags = ("uninstall", "engine", "nssa")
    _help = "Deletes the environment that 'Install or update the engine' created. Other engines stay."

    def initAlgorithm(self, configuration=None):
        """Declare no parameters."""

    def processAlgorithm(self, parameters, context, feedback):
        """Run."""
        try:
            gone = installation().uninstall()
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        feedback.pushInfo(
            tr("The engine is removed.")
            if gone
            else tr("There is nothing to remove: the plugin has not installed an engine.")
        )
        return {}
