"""Settings of the plugin, and the folders of its engine, files and logs."""

import os
import sys
from urllib.parse import quote

from qgis.core import QgsApplication, QgsProcessingException, QgsSettings

from .engine import EngineError, find_engine
from .installation import Installation
from .storage import Cache, new_log
from .texts import tr

_EXECUTABLE = "nssa_gis/executable"


def engine_setting():
    """Return the path of the executable that the user named, or an empty text."""
    return str(QgsSettings().value(_EXECUTABLE, "") or "")


def set_engine(path):
    """Remember an executable; an empty text forgets it."""
    QgsSettings().setValue(_EXECUTABLE, path)


def installation():
    """Return the environment that the plugin manages.

    It is in the user's profile; on Windows near the root of the user's local data, because paths inside PyTorch are
    long and Windows allows 260 characters.
    """
    local = os.environ.get("LOCALAPPDATA", "")
    if sys.platform == "win32" and local:
        return Installation(os.path.join(local, "nssa-gis"))
    return Installation(_place("engine"))


def cache():
    """Return the store of files made for the engine."""
    return Cache(_place("cache"))


def log_path(name):
    """Return the file for the log of a new run."""
    return new_log(_place("logs"), name)


def _place(name):
    return os.path.join(QgsApplication.qgisSettingsDirPath(), "nssa_gis", name)


def engine():
    """Return (path, origin) of the executable.

    Raises
    ------
    QgsProcessingException
        There is none; the text says what to do.
    """
    try:
        return find_engine(engine_setting(), installation().executable)
    except EngineError as error:
        raise QgsProcessingException(str(error)) from None


def proxies(feedback):
    """Return QGIS' proxy as the variables that pip reads; warn of settings that pip cannot use.

    The system's proxy ("DefaultProxy") is left to pip, which finds it by itself.
    """
    settings = QgsSettings()

    def value(name):
        return str(settings.value("proxy/" + name, "") or "")

    kind, host, port = value("proxyType"), value("proxyHost"), value("proxyPort")
    if value("proxyEnabled").lower() not in ("true", "1") or kind == "DefaultProxy" or not host:
        return {}
    if kind not in ("HttpProxy", "HttpCachingProxy"):
        text = tr("pip cannot use the type of proxy that QGIS uses ({}); trying without it.")
        feedback.pushWarning(text.format(kind))
        return {}
    user, word = value("proxyUser"), value("proxyPassword")
    if value("authcfg") and not user:
        feedback.pushWarning(
            tr(
                "The login of the proxy is in an authentication configuration of QGIS and is not passed on. If the "
                "proxy refuses the connection, set the variable HTTPS_PROXY before you start QGIS."
            )
        )
    login = f"{quote(user, safe='')}:{quote(word, safe='')}@" if user else ""
    address = f"http://{login}{host}" + (f":{port}" if port else "")
    return {name: address for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
