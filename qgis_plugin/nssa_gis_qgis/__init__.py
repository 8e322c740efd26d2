"""QGIS plugin: the nssa-gis engine as a Processing provider."""


def classFactory(iface):  # noqa: N802 (QGIS asks for this name)
    """Give the plugin to QGIS."""
    from .plugin import Plugin

    return Plugin(iface)
