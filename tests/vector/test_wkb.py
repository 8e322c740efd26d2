import numpy as np
import pyarrow as pa
import pytest
import shapely

from nssa_gis.vector.wkb import from_wkb, to_wkb

BOXES = np.random.default_rng(0).uniform(-1e6, 1e6, (20, 4, 2))


def test_polygons_are_what_shapely_writes():
    assert to_wkb(BOXES).to_pylist() == shapely.to_wkb(shapely.polygons(BOXES), byte_order=1).tolist()


def test_points_are_what_shapely_writes():
    points = BOXES[:, :1]
    assert to_wkb(points).to_pylist() == shapely.to_wkb(shapely.points(points[:, 0]), byte_order=1).tolist()


@pytest.mark.parametrize("corners", [1, 4])
def test_there_and_back(corners):
    coords = BOXES[:, :corners]
    assert np.array_equal(from_wkb(to_wkb(coords)), coords)
    assert np.array_equal(from_wkb(to_wkb(coords).slice(5, 7)), coords[5:12])
    assert len(from_wkb(to_wkb(coords[:0]))) == 0


def test_other_geometries_are_refused():
    triangle = shapely.to_wkb([shapely.Polygon([(0, 0), (1, 0), (0, 1)])], byte_order=1)
    line = shapely.to_wkb([shapely.LineString(np.zeros((5, 2)))], byte_order=1)
    big_endian = shapely.to_wkb([shapely.Point(1, 2)], byte_order=0)
    for wkb in (triangle, line, big_endian):
        with pytest.raises(ValueError):
            from_wkb(pa.array(wkb, pa.binary()))
