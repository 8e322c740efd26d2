"""Translation of what the plugin says. No QGIS in here: the bridge to the engine speaks through it too."""

_TEXTS = {}


def use(texts):
    """Translate by this table, source to translation, from now on."""
    _TEXTS.clear()
    _TEXTS.update(texts)


def tr(text):
    """Translate a text of the plugin; one without translation stays as it is."""
    return _TEXTS.get(text) or text
