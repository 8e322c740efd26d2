"""What the tests of the plugin share: stand-ins for QGIS, for its feedback and for the engine."""

import sys
import textwrap
import types
from pathlib import Path

ROOT = Path(__file__).parents[2] / "qgis_plugin"
PLUGIN = ROOT / "nssa_gis_qgis"
SOURCES = sorted(PLUGIN.rglob("*.py"))
QGIS = ("qgis", "qgis.core", "qgis.PyQt", "qgis.PyQt.QtCore", "qgis.PyQt.QtGui", "qgis.PyQt.QtWidgets")


class StandIn(types.ModuleType):
    """A module of QGIS in which every name is a class that takes anything."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__init__": lambda self, *a, **k: None})
        setattr(self, name, made)
        return made


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


class Feedback:
    def __init__(self):
        self.percent, self.said, self.cancelled = [], [], False

    def isCanceled(self):
        return self.cancelled

    def setProgress(self, value):
        self.percent.append(value)

    def __getattr__(self, name):
        return lambda text: self.said.append((name, text))


def program(tmp_path, body):
    """An executable stand-in for the engine."""
    path = tmp_path / "a folder with ü" / "nssa-gis"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(body), encoding="utf-8")
    path.chmod(0o755)
    return str(path)
