"""QGIS plugin: the nssa-gis engine as a Processing provider."""


def classFactory(iface):
    """Return the plugin to QGIS."""
    from .plugin import Plugin

    return Plugin(iface)
