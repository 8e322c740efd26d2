"""Translation of the plugin's messages. No QGIS in here, because the bridge to the engine uses it too."""

_TEXTS = {}


def use(texts):
    """Use this table, source to translation, from now on."""
    _TEXTS.clear()
    _TEXTS.update(texts)


def tr(text):
    """Translate a text of the plugin; a text without translation is returned unchanged."""
    return _TEXTS.get(text) or text
