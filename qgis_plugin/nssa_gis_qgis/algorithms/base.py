"""What all algorithms share."""

import os

from qgis.core import QgsProcessingAlgorithm, QgsProcessingException
from qgis.PyQt.QtGui import QIcon

from ..engine import Cancelled, EngineError, Run
from ..settings import engine
from ..texts import tr

_HELP = "https://github.com/nssa-gis/nssa-gis/blob/main/docs/qgis.md"
OBJECTS = "OBJECTS"


class NssaAlgorithm(QgsProcessingAlgorithm):
    """Name, icon, help and translation; subclasses give ``_name``, ``_title``, ``_help`` and ``_tags``."""

    _name = _title = _help = ""
    _tags = ()

    def createInstance(self):  # noqa: N802
        """Give a new one."""
        return type(self)()

    def name(self):
        """Give the name behind ``nssa:``."""
        return self._name

    def displayName(self):  # noqa: N802
        """Give the name in the toolbox."""
        return tr(self._title)

    def shortHelpString(self):  # noqa: N802
        """Give the text beside the dialog."""
        return tr(self._help)

    def tags(self):
        """Give what the toolbox finds it by."""
        return list(self._tags)

    def helpUrl(self):  # noqa: N802
        """Give the page of the documentation."""
        return f"{_HELP}#{self._name}"

    def icon(self):
        """Give our own icon."""
        return QIcon(os.path.join(os.path.dirname(os.path.dirname(__file__)), "icon.svg"))

    def run_engine(self, arguments, folder, feedback):
        """Run the engine with progress.

        Returns
        -------
        Run
            After its end; ``done`` is None if the user cancelled.

        Raises
        ------
        QgsProcessingException
            The engine is missing or failed; one message with the cause.
        """
        executable, origin = engine()
        feedback.pushInfo(tr("Engine: {} ({})").format(executable, origin))
        run = Run(feedback, os.path.join(folder, "nssa-gis.log"))
        try:
            run.execute(executable, arguments)
        except Cancelled:
            run.done = None
            feedback.pushInfo(tr("Cancelled. What was finished is kept: run again with 'Resume an interrupted run'."))
        except EngineError as error:
            raise QgsProcessingException(str(error)) from None
        return run
