"""QGIS plugin: the nssa-gis engine as a Processing provider."""


def classFactory(iface):
    """Give the plugin to QGIS."""
    from .plugin import Plugin

    return Plugin(iface)
