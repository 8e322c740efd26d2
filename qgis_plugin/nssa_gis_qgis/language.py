"""The texts in QGIS' language, from Qt's own ``.ts`` files (no compiled ones: the plugin holds no binaries)."""

import os

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QFile, QIODevice, QXmlStreamReader

from . import texts

_FOLDER = os.path.join(os.path.dirname(__file__), "i18n")


def load():
    """Use the language of QGIS from now on; QGIS changes its own language only at a restart."""
    language = (QgsApplication.locale() or "")[:2]
    texts.use(read(os.path.join(_FOLDER, f"nssa_gis_{language}.ts")))


def read(path):
    """Read a ``.ts`` file: source to translation; empty if it is not there."""
    found = {}
    file = QFile(path)
    modes = getattr(QIODevice, "OpenModeFlag", QIODevice)
    if not file.exists() or not file.open(modes.ReadOnly):
        return found
    reader = QXmlStreamReader(file)
    source = ""
    while not reader.atEnd():
        reader.readNext()
        if not reader.isStartElement():
            continue
        name = str(reader.name())
        if name == "source":
            source = reader.readElementText()
        elif name == "translation":
            found[source] = reader.readElementText()
    file.close()
    return found
