"""Common base of the algorithms."""

import os

from qgis.core import QgsProcessingAlgorithm, QgsProcessingException
from qgis.PyQt.QtGui import QIcon

from ..engine import Cancelled, EngineError, Run
from ..settings import engine, installation, log_path
from ..texts import tr

_HELP = "https://github.com/nssa-gis/nssa-gis/blob/main/docs/qgis.md"
OBJECTS = "OBJECTS"


class NssaAlgorithm(QgsProcessingAlgorithm):
    """Name, icon, help and translation; subclasses give ``_name``, ``_title``, ``_help`` and ``_tags``."""

    _name = _title = _help = ""
    _tags = ()

    def createInstance(self):
        """Return a new one."""
        return type(self)()

    def name(self):
        """Return the name behind ``nssa:``."""
        return self._name

    def displayName(self):
        """Return the name in the toolbox."""
        return tr(self._title)

    def shortHelpString(self):
        """Return the text beside the dialog."""
        return tr(self._help)

    def tags(self):
        """Return what the toolbox finds it by."""
        return list(self._tags)

    def helpUrl(self):
        """Return the page of the documentation."""
        return f"{_HELP}#{self._name}"

    def icon(self):
        """Return our own icon."""
        return QIcon(os.path.join(os.path.dirname(os.path.dirname(__file__)), "icon.svg"))

    def run_engine(self, arguments, feedback):
        """Run the engine with progress.

        Returns
        -------
        Run
            After its end.

        Raises
        ------
        QgsProcessingException
            The engine is missing or failed; one message with the cause.
        Cancelled
            The user cancelled; the last message of the engine was shown.
        """
        executable, origin = engine()
        feedback.pushInfo(tr("Engine: {} ({})").format(executable, origin))
        run = Run(feedback, log_path(self._name))
        feedback.pushInfo(tr("Log: {}").format(run.log_path))
        try:
            with installation().in_use(executable):
                run.execute(executable, arguments)
        except Cancelled:
            words = run.error or tr("the engine was killed, or ended without a message")
            feedback.pushInfo(tr("Cancelled: {}").format(words))
            raise
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        return run
