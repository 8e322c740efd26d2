import numpy as np
import pyogrio
import pytest
import shapely

from nssa_gis.analysis.layers import agreement, score_layer
from nssa_gis.errors import NssaError


def write(path, boxes, crs="EPSG:32632", **fields):
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapely.box(*np.array(boxes, float).reshape(-1, 4).T)),
        [np.array(v) for v in fields.values()],
        list(fields),
        geometry_type="Polygon",
        crs=crs,
        driver="GPKG",
    )
    return path


def test_counts_by_hand(tmp_path):
    truth = write(tmp_path / "t.gpkg", [[0, 0, 4, 2], [10, 0, 14, 2], [20, 0, 24, 2]], hidden=[0, 0, 1])
    # exact hit, a duplicate of it, an IoU below one half, the hidden one, nothing at all
    found = [[0, 0, 4, 2], [0, 0, 4, 2.2], [12, 0, 16, 2], [20, 0, 24, 2], [50, 50, 54, 52]]
    layer = write(tmp_path / "f.gpkg", found, score=[0.9, 0.8, 0.7, 0.6, 0.5])
    got = score_layer(layer, truth, ignore="hidden")
    assert (got.matched, got.found, got.truths) == (1, 4, 2)
    assert (got.precision, got.recall) == pytest.approx((0.25, 0.5))
    assert score_layer(layer, truth).matched == 2


def test_truth_in_another_crs(tmp_path):
    boxes = np.array([[500000.0, 5400000.0, 500004.0, 5400002.0]])
    layer = write(tmp_path / "f.gpkg", boxes, score=[0.9])
    from pyproj import Transformer

    change = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    x, y = change.transform(boxes[0, [0, 2]], boxes[0, [1, 3]])
    truth = write(tmp_path / "t.gpkg", [[x[0], y[0], x[1], y[1]]], crs="EPSG:4326")
    assert score_layer(layer, truth, iou=0.9).f1 == 1


def test_agreement_and_empty_layers(tmp_path):
    a = write(tmp_path / "a.gpkg", [[0, 0, 4, 2], [10, 0, 14, 2]], score=[0.5, 0.5])
    b = write(tmp_path / "b.gpkg", [[0, 0, 4, 2.1]], score=[0.5])
    empty = write(tmp_path / "e.gpkg", [], score=[])
    assert agreement(a, a) == 1
    assert agreement(a, b) == pytest.approx(2 / 3)
    assert agreement(a, empty) == 0
    with pytest.raises(NssaError, match="missing"):
        score_layer(tmp_path / "missing.gpkg", a)
