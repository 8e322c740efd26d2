"""The built-in model on a real image: what is scored is what a detection writes, box by box."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window

from nssa_gis.detect.detector import Detector
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.evaluate.evaluation import _FLOOR, detect_entries
from nssa_gis.evaluate.sources import detect_image
from nssa_gis.labels.images import labelled_image
from nssa_gis.labels.table import Entry, no_boxes
from nssa_gis.raster.resample import resample_image

TOWN = Path(__file__).parents[2] / "sample_data" / "town.tif"
#: A part of the town, larger than a tile at the GSD of the model.
WINDOW, REDUCED = Window(700, 600, 1100, 700), (560, 880)


@pytest.fixture(scope="module")
def detector():
    with Detector(device="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Write the part at 1.25 times the pixel size, as GeoTIFF, PNG and JPEG; returns the folder and the GSD."""
    folder = tmp_path_factory.mktemp("town")
    with rasterio.open(TOWN) as data:
        part, place = data.read((1, 2, 3), window=WINDOW), data.window_transform(WINDOW)
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": data.crs, "photometric": "rgb"}
    pixels = resample_image(part, *REDUCED)
    place = place @ rasterio.Affine.scale(WINDOW.width / REDUCED[1], WINDOW.height / REDUCED[0])
    with rasterio.open(folder / "a.tif", "w", width=REDUCED[1], height=REDUCED[0], transform=place, **profile) as made:
        made.write(pixels)
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.save(folder / "a.png")
    picture.save(folder / "a.jpg", quality=95)
    return folder, place.a


def written(detector, path, folder, **options):
    """Boxes, scores and class numbers of the layer that a detection writes, in pixels of the image."""
    detect_scene(detector, path, folder / "layer.gpkg", DetectOptions(confidence=_FLOOR, **options))
    table = pyogrio.read_dataframe(folder / "layer.gpkg", read_geometry=False)
    x, y, w, h = (table[name].to_numpy() for name in ("x_px", "y_px", "w_px", "h_px"))
    boxes = np.stack((x, y, x + w, y + h), 1)
    return boxes, table["score"].to_numpy(), table["class_id"].to_numpy()


def sorted_rows(boxes, scores, labels):
    rows = np.column_stack((boxes, scores, labels))
    return rows[np.lexsort(rows.round(3).T[:3])]


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_what_is_scored_is_what_a_detection_writes(detector, image, tmp_path, name):
    folder, gsd = image
    path = folder / name
    stated = None if name == "a.tif" else gsd  # a GeoTIFF says it itself
    (found,) = detect_entries(detector, [Entry(path, name, no_boxes(), np.empty(0, np.int64), gsd=stated)], None, None)
    options = {} if stated is None else {"scale": gsd / detector.info.gsd}
    layer = written(detector, path, tmp_path, **options)
    assert (found.scores > 0.5).sum() > 20
    assert len(found) == len(layer[0])
    np.testing.assert_allclose(
        sorted_rows(found.boxes, found.scores, found.labels), sorted_rows(*layer), rtol=0, atol=2e-3
    )


def test_validation_finds_the_same(detector, image):
    """In the pixels of the working grid, and down to lower scores."""
    folder, gsd = image
    entry = Entry(folder / "a.png", "a.png", no_boxes(), np.empty(0, np.int64), gsd=gsd)
    (found,) = detect_entries(detector, [entry], None, None)
    labelled = labelled_image(entry, np.array([0]), np.zeros(1, bool), gsd, detector.info.gsd)
    validated, _ = detect_image(detector, labelled)
    sure, also = found.take(found.scores > 0.3), validated.take(validated.scores > 0.3)
    assert len(sure) == len(also) > 20
    np.testing.assert_allclose(also.boxes, sure.boxes * gsd / detector.info.gsd, atol=1e-3)
    np.testing.assert_array_equal(also.scores, sure.scores)
