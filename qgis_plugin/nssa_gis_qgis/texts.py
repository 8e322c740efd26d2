"""Translation of what the plugin says, from Qt's own ``.ts`` files (no compiled ones: the plugin holds no binaries)."""

import os

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QFile, QIODevice, QXmlStreamReader

_FOLDER = os.path.join(os.path.dirname(__file__), "i18n")
_TEXTS = {}


def tr(text):
    """Translate a text of the plugin into QGIS' language; a text without translation stays as it is."""
    language = (QgsApplication.locale() or "")[:2]
    if language not in _TEXTS:
        _TEXTS[language] = read(os.path.join(_FOLDER, f"nssa_gis_{language}.ts"))
    return _TEXTS[language].get(text) or text


def read(path):
    """Read a ``.ts`` file: source to translation; empty if it is not there."""
    texts = {}
    file = QFile(path)
    modes = getattr(QIODevice, "OpenModeFlag", QIODevice)
    if not file.exists() or not file.open(modes.ReadOnly):
        return texts
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
            texts[source] = reader.readElementText()
    file.close()
    return texts
