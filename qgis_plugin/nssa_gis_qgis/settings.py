"""What the plugin remembers, and where its own engine lives."""

import os

from qgis.core import QgsApplication, QgsProcessingException, QgsSettings

from .engine import EngineError, find_engine
from .installation import Installation

_EXECUTABLE = "nssa_gis/executable"


def engine_setting():
    """Give the path of the executable that the user named, or an empty text."""
    return str(QgsSettings().value(_EXECUTABLE, "") or "")


def set_engine(path):
    """Remember an executable; an empty text forgets it."""
    QgsSettings().setValue(_EXECUTABLE, path)


def installation():
    """Give the environment that the plugin manages, in the user's profile."""
    return Installation(os.path.join(QgsApplication.qgisSettingsDirPath(), "nssa_gis"))


def engine():
    """Give (path, origin) of the executable.

    Raises
    ------
    QgsProcessingException
        There is none; the text says what to do.
    """
    try:
        return find_engine(engine_setting(), installation().executable)
    except EngineError as error:
        raise QgsProcessingException(str(error)) from None


def proxies():
    """Give QGIS' proxy as the variables that pip reads."""
    settings = QgsSettings()
    if str(settings.value("proxy/proxyEnabled", "false")).lower() not in ("true", "1"):
        return {}
    if str(settings.value("proxy/proxyType", "")) not in ("HttpProxy", "DefaultProxy", "HttpCachingProxy"):
        return {}
    host, port = str(settings.value("proxy/proxyHost", "") or ""), str(settings.value("proxy/proxyPort", "") or "")
    if not host:
        return {}
    user, word = str(settings.value("proxy/proxyUser", "") or ""), str(settings.value("proxy/proxyPassword", "") or "")
    login = f"{user}:{word}@" if user else ""
    address = f"http://{login}{host}" + (f":{port}" if port else "")
    return {name: address for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
