"""A QGIS without a window, with Processing and our provider; the real engine from ``NSSA_GIS``."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT.parent / "sample_data" / "town.tif"
sys.path.insert(0, str(ROOT))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("NSSA_GIS", str(ROOT.parent / ".venv" / "bin" / "nssa-gis"))

try:
    import qgis.core  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]

    def pytest_report_header():
        return "QGIS is not importable by this Python: its tests are skipped"


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    from qgis.core import QgsApplication

    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = str(tmp_path_factory.mktemp("profile"))
    QgsApplication.setPrefixPath("/usr", True)
    app = QgsApplication([], False)
    app.initQgis()
    sys.path.append("/usr/share/qgis/python/plugins")
    from processing.core.Processing import Processing

    Processing.initialize()
    from nssa_gis_qgis.provider import Provider

    provider = Provider()
    QgsApplication.processingRegistry().addProvider(provider)
    yield app
    # no exitQgis: QGIS 3.22 crashes in it when Python still holds layers


@pytest.fixture
def project(application):
    from qgis.core import QgsCoordinateReferenceSystem, QgsProject

    made = QgsProject.instance()
    made.clear()
    made.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))  # not the scene's
    yield made
    made.clear()


@pytest.fixture
def scene(project):
    from qgis.core import QgsRasterLayer

    layer = QgsRasterLayer(str(SAMPLE), "town")
    project.addMapLayer(layer)
    return layer
