import importlib
import sys

import pytest
from plugin_support import QGIS, ROOT, StandIn

sys.path.insert(0, str(ROOT))


@pytest.fixture
def fresh_modules(monkeypatch):
    """Import the plugin anew, and forget it afterwards."""
    for name in [n for n in sys.modules if n.startswith("nssa_gis_qgis")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [n for n in sys.modules if n.startswith("nssa_gis_qgis")]:
        del sys.modules[name]


@pytest.fixture
def stand_ins(monkeypatch, fresh_modules):
    for name in QGIS:
        monkeypatch.setitem(sys.modules, name, StandIn(name))


@pytest.fixture
def engine(fresh_modules):
    """The bridge to the engine, which needs no QGIS."""
    return importlib.import_module("nssa_gis_qgis.engine")


@pytest.fixture
def process(fresh_modules):
    return importlib.import_module("nssa_gis_qgis.process")
