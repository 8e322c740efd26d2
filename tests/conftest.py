"""Settings for all tests."""

import os
import signal

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.schema import LayerInfo

# Test networks are tiny: more threads only wait for one another, badly so on a busy machine. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A background job of a shell is started with SIGINT ignored, and so would be every process that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

UTM = CRS.from_epsg(32632)
CLASSES = ("car", "truck", "boat")


@pytest.fixture
def frame():
    return Frame(4000, 4000, UTM, Affine(0.25, 0, 500000, 0, -0.25, 5000000))


@pytest.fixture
def info():
    metadata = {"software": "nssa-gis 0.1", "ümlaut": "ja"}
    return LayerInfo("town", "vehicles-s", "1.2", CLASSES, metadata=metadata)


@pytest.fixture
def bare_info():
    """A scene without georeference."""
    return LayerInfo("phone", "vehicles-s", "1.2", CLASSES)


@pytest.fixture
def detections():
    """Build N detections, sorted by row as a scene gives them."""

    def build(n, seed=0, span=3900.0):
        rng = np.random.default_rng(seed)
        xy = rng.uniform(0, span, (n, 2))
        xy = xy[np.argsort(xy[:, 1])]
        wh = rng.uniform(8, 20, (n, 2))
        labels = rng.integers(0, len(CLASSES), n)
        return SceneDetections.of(np.concatenate([xy, xy + wh], 1), rng.uniform(0.3, 1, n), labels)

    return build
