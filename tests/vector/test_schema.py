import numpy as np
import pyarrow as pa
import pytest
import shapely
from affine import Affine
from pyproj import CRS

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.schema import FIELDS, RECORDS, counterclockwise, records
from nssa_gis.vector.wkb import from_wkb

UTM = CRS.from_epsg(32632)
NAMES = (
    "id class class_id score width_m height_m length_m area_m2 x_px y_px w_px h_px scene model model_version"
).split()


def shapes_of(batch):
    return shapely.from_wkb(batch["geometry"].to_pylist())


def one(box, label=0, score=0.87654):
    return SceneDetections.of([box], score, label)


def test_fields_are_the_promised_ones_in_order():
    assert [f.name for f in FIELDS] == NAMES


def test_shapefile_names_are_unique_and_short():
    short = [f.short for f in FIELDS]
    assert len(set(short)) == len(short)
    assert [f.name for f in FIELDS if f.short != f.name] == ["model_version"]


def test_values_of_a_row(frame, info):
    batch = records(one([100.5, 200, 120.5, 208], label=1), frame, info)
    row = batch.to_pylist()[0]
    assert list(row) == [*NAMES[1:], "geometry"]
    assert (row["class"], row["class_id"], row["score"]) == ("truck", 1, 0.8765)
    # UTM ground metres differ from grid metres by the scale factor of 0.9996 at most.
    assert row["width_m"] == pytest.approx(5, rel=5e-4)
    assert row["height_m"] == pytest.approx(2, rel=5e-4)
    assert row["length_m"] == row["width_m"]
    assert row["area_m2"] == pytest.approx(10, rel=1e-3)
    assert [row[k] for k in ("x_px", "y_px", "w_px", "h_px")] == [100.5, 200, 20, 8]
    assert (row["scene"], row["model"], row["model_version"]) == ("town", "vehicles-s", "1.2")
    assert from_wkb(batch["geometry"])[0, 0].tolist() == [500025.125, 4999950]


def test_types_of_columns_also_without_rows(frame, info, detections):
    for n in (0, 3):
        batch = records(detections(n), frame, info)
        assert batch.num_rows == n and batch.schema == RECORDS
    assert RECORDS.field("class_id").type == pa.int32() and RECORDS.field("score").type == pa.float64()


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.5, 0, 500000, 0, -0.5, 5000000),
        Affine(0.5, 0, 500000, 0, 0.5, 5000000),  # south-up
        Affine(0.4, 0.3, 500000, 0.3, -0.4, 5000000),  # rotated
        Affine(-0.5, 0.1, 500000, 0.2, 0.5, 5000000),
    ],
)
def test_polygons_are_valid_counterclockwise_and_start_top_left(transform, info, detections):
    frame = Frame(4000, 4000, UTM, transform)
    found = detections(50)
    batch = records(found, frame, info)
    polygons = shapes_of(batch)
    assert shapely.is_valid(polygons).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert np.allclose(shapely.area(polygons), area(found, transform))
    assert np.array_equal(from_wkb(batch["geometry"])[:, 0], np.stack(frame.to_map(*found.boxes[:, :2].T), -1))


def area(found, transform):
    w, h = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    return w * h * abs(transform.determinant)


def test_points_are_the_centres(frame, info, detections):
    from dataclasses import replace

    found = detections(20)
    batch = records(found, frame, replace(info, geometry="point"))
    points = shapely.get_coordinates(shapes_of(batch))
    centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert np.allclose(points, [500000, 5000000] + centre * [0.25, -0.25])


def test_bare_pixels_are_turned_up_and_have_no_metres(bare_info):
    batch = records(one([10, 20, 14, 22]), Frame(100, 100), bare_info)
    assert shapes_of(batch)[0].bounds == (10, -22, 14, -20)
    assert [batch[k][0].as_py() for k in ("width_m", "height_m", "length_m", "area_m2")] == [None] * 4


def test_world_file_without_crs_is_not_turned(bare_info):
    frame = Frame(100, 100, None, Affine(2, 0, 1000, 0, -2, 3000))
    batch = records(one([10, 20, 14, 22]), frame, bare_info)
    assert shapes_of(batch)[0].bounds == (1020, 2956, 1028, 2960)


def test_web_mercator_gives_ground_metres(info):
    crs = CRS.from_epsg(3857)
    y = 8399737.9  # 60 degrees north, where web mercator is stretched by two
    frame = Frame(1000, 1000, crs, Affine(0.5, 0, 1000000, 0, -0.5, y + 250))
    batch = records(one([490, 490, 510, 500]), frame, info)
    assert batch["width_m"][0].as_py() == pytest.approx(5, rel=0.01)


def test_unknown_class_is_an_error(frame, info):
    with pytest.raises(NssaError, match="lists 3 classes"):
        records(one([0, 0, 1, 1], label=3), frame, info)


def test_coordinates_that_are_not_finite_are_an_error(info):
    frame = Frame(10, 10, UTM, Affine(1e308, 0, 1e308, 0, -1, 0))
    with pytest.raises(NssaError, match="finite"), np.errstate(all="ignore"):
        records(one([5, 5, 9, 9]), frame, info)


def test_counterclockwise_leaves_the_rest():
    ring = np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]], float)
    assert np.array_equal(counterclockwise(ring), ring)
    assert np.array_equal(counterclockwise(ring[:, [0, 3, 2, 1]]), ring)
    assert np.array_equal(counterclockwise(ring[:, :1]), ring[:, :1])
