"""The area of interest in scene pixels."""

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from nssa_gis.errors import NssaError
from nssa_gis.geo.aoi import Area
from nssa_gis.geo.frame import Frame

UTM, WGS84 = pyproj.CRS(32631), pyproj.CRS(4326)
FRAME = Frame(4000, 3000, UTM, Affine(0.5, 0, 593270, 0, -0.5, 5747657))


def in_lonlat(pixels, frame=FRAME):
    """A polygon of pixel positions, drawn finely enough to be the same in degrees."""
    ring = shapely.segmentize(shapely.Polygon(pixels), 10)
    to_lonlat = pyproj.Transformer.from_crs(frame.crs, WGS84, always_xy=True)
    return shapely.transform(ring, lambda c: np.stack(to_lonlat.transform(*frame.to_map(*c.T)), axis=-1))


def test_polygon_in_another_crs():
    pixels = [(500, 300), (3000, 800), (2500, 2500), (700, 2000)]
    area = Area.from_geometries([in_lonlat(pixels)], WGS84, FRAME)
    assert shapely.hausdorff_distance(area.shape.exterior, shapely.Polygon(pixels).exterior) < 0.01
    assert area.contains([[1500, 1500], [100, 100]]).tolist() == [True, False]
    assert area.touches([[0, 0, 400, 200], [0, 0, 600, 400]]).tolist() == [False, True]


def test_much_larger_than_the_scene():
    whole_world = shapely.box(-180, -90, 180, 90)
    area = Area.from_geometries([whole_world], WGS84, FRAME)
    assert area.shape.area == pytest.approx(4000 * 3000)


def test_long_edges_bend():
    """A country-sized box whose edge, straight in degrees, crosses the scene."""
    lon, lat = pyproj.Transformer.from_crs(UTM, WGS84, always_xy=True).transform(*FRAME.to_map(2000, 1500))
    area = Area.from_bounds((lon - 5, lat, lon + 5, lat + 5), WGS84, FRAME)
    xs = np.array([0.0, 1000, 2000, 3000, 4000])
    x, y = pyproj.Transformer.from_crs(UTM, WGS84, always_xy=True).transform(*FRAME.to_map(xs, np.full(5, 1500.0)))
    x, y = pyproj.Transformer.from_crs(WGS84, UTM, always_xy=True).transform(x, np.full(5, lat))
    edge, little = np.stack(FRAME.to_pixel(x, y), axis=-1), np.array([0, 0.05])
    assert area.contains(edge - little)[1:4].all()
    assert not area.contains(edge + little).any()


def test_own_coordinates_need_no_crs():
    area = Area.from_bounds((593270, 5747657 - 100, 593370, 5747657), None, FRAME)
    assert area.bounds == pytest.approx((0, 0, 200, 200))
    pixels = Area.from_bounds((10, 20, 30, 40), None, Frame(100, 100))
    assert pixels.bounds == pytest.approx((10, 20, 30, 40))


@pytest.mark.parametrize("shift", [-360, 0])
def test_across_the_antimeridian(shift):
    frame = Frame(1000, 1000, WGS84, Affine(1e-5, 0, 179.995, 0, -1e-5, 60))
    east = Area.from_bounds((180 + shift, 59.99, 180.01 + shift, 60), WGS84, frame)
    assert east.bounds == pytest.approx((500, 0, 1000, 1000), abs=1e-3)
    mercator = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    (x0, x1), (y0, y1) = mercator.transform([-180, -179.99], [59.99, 60])
    assert Area.from_bounds((x0, y0, x1, y1), pyproj.CRS(3857), frame).bounds == pytest.approx(
        (500, 0, 1000, 1000), abs=1e-2
    )


def test_projected_scene_across_the_antimeridian():
    frame = Frame(1000, 1000, pyproj.CRS(32660), Affine(10, 0, 665000, 0, -10, 6660000))
    lon, _ = pyproj.Transformer.from_crs(32660, 4326, always_xy=True).transform(*frame.to_map([0, 1000], [500, 500]))
    assert lon[0] > 0 > lon[1]
    both = Area.from_geometries([shapely.box(179, 59, 180, 61), shapely.box(-180, 59, -179, 61)], WGS84, frame)
    assert both.shape.area == pytest.approx(1e6, rel=1e-6)


def test_scene_on_the_pole():
    frame = Frame(1000, 1000, pyproj.CRS(3413), Affine(10, 0, -5000, 0, -10, 5000))
    area = Area.from_bounds((-180, 80, 180, 90), WGS84, frame)
    assert area.shape.area > 0.99e6


def test_broken_polygons_and_other_kinds():
    bow = shapely.Polygon([(593270, 5747000), (593470, 5747200), (593470, 5747000), (593270, 5747200)])
    area = Area.from_geometries([bow, shapely.Point(593300, 5747100)], UTM, FRAME)
    assert area.shape.area == pytest.approx(2 * 200 * 100 / 2 * 4)


@pytest.mark.parametrize(
    ("geometries", "crs", "frame", "message"),
    [
        ([shapely.box(0, 0, 1, 1)], WGS84, FRAME, "does not meet"),
        ([shapely.Point(3, 3)], WGS84, FRAME, "no polygon"),
        ([], WGS84, FRAME, "no polygon"),
        ([shapely.box(0, 0, 1, 1)], WGS84, Frame(10, 10), "no CRS"),
    ],
)
def test_useless_areas(geometries, crs, frame, message):
    with pytest.raises(NssaError, match=message):
        Area.from_geometries(geometries, crs, frame)


@pytest.mark.parametrize("bounds", [(0, 0, 0, 1), (0, 0, float("nan"), 1)])
def test_useless_bounds(bounds):
    with pytest.raises(NssaError, match="no area"):
        Area.from_bounds(bounds, None, FRAME)


def test_no_points():
    area = Area.from_bounds((0, 0, 10, 10), None, Frame(100, 100))
    assert area.contains(np.empty((0, 2))).shape == (0,)
    assert area.touches(np.empty((0, 4))).shape == (0,)


def test_polygons_inside_collections_count():
    square = shapely.box(593270, 5747157, 593370, 5747257)
    line = shapely.LineString([(593270, 5747000), (594000, 5747000)])
    other = shapely.box(593470, 5747157, 593570, 5747257)
    nested = shapely.GeometryCollection([line, shapely.MultiPolygon([square, other])])
    assert Area.from_geometries([nested], UTM, FRAME).shape.area == pytest.approx(2 * 100 * 100 * 4)


def test_an_area_smaller_than_a_pixel_counts():
    area = Area.from_bounds((593300, 5747500, 593300.1, 5747500.1), UTM, FRAME)
    assert area.shape.area == pytest.approx(0.04)


def test_bounds_in_any_order_and_without_height():
    one = Area.from_bounds((593370, 5747657, 593270, 5747557), None, FRAME)
    assert one.bounds == pytest.approx((0, 0, 200, 200))
    with pytest.raises(NssaError, match=r"bounds 1.0,5.0,3.0,5.0: .*no area"):
        Area.from_bounds((1, 5, 3, 5), None, FRAME)


def test_long_edges_bend_beside_the_antimeridian():
    """As above, where the scene runs from 179.9 to -179.9 degrees: its surroundings are small there too."""
    frame = Frame(1000, 1000, pyproj.CRS(32660), Affine(10, 0, 665000, 0, -10, 6660000))
    to_lonlat = pyproj.Transformer.from_crs(32660, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(*frame.to_map([0.0, 500, 1000], np.full(3, 500.0)))
    assert lon[0] > 179 and lon[2] < -179
    area = Area.from_geometries(
        [shapely.box(150, lat[1], 180, lat[1] + 5), shapely.box(-180, lat[1], -150, lat[1] + 5)], WGS84, frame
    )
    parallel = np.array(lon), np.full(3, lat[1])
    edge = np.stack(frame.to_pixel(*pyproj.Transformer.from_crs(4326, 32660, always_xy=True).transform(*parallel)), -1)
    assert np.ptp(edge[:, 1]) > 1, "a parallel is no row of this scene"
    inside, outside = edge - np.array([0, 0.05]), edge + np.array([0, 0.05])
    assert area.contains(inside[1:2]).all() and not area.contains(outside).any()
    ring = shapely.get_coordinates(area.shape)
    lower = ring[(ring[:, 1] > 300) & (ring[:, 0] > 0) & (ring[:, 0] < 1000)]
    assert len(lower) > 100


#: A view of the globe from above 0, 0: what lies more than 90 degrees away cannot be projected.
GLOBE = pyproj.CRS("+proj=ortho +lat_0=0 +lon_0=0 +datum=WGS84 +units=m")


def test_a_scene_that_looks_past_the_edge_of_the_globe():
    # The globe ends at x 6,378,137 m; the right half of the scene shows nothing of it.
    frame = Frame(1000, 1000, GLOBE, Affine(1000, 0, 5878137, 0, -1000, 500000))
    area = Area.from_bounds((70, -2, 80, 2), WGS84, frame)
    low, high = (6378137 * np.sin(np.radians([70, 80])) - 5878137) / 1000
    # On the equator the edges lie at these columns.
    assert area.contains([[low + 1, 500], [high - 1, 500]]).all()
    assert not area.contains([[low - 1, 500], [high + 1, 500], [900, 500]]).any()


def test_areas_that_cannot_be_brought_to_the_scene():
    frame = Frame(1000, 1000, GLOBE, Affine(1000, 0, 5878137, 0, -1000, 500000))
    with pytest.raises(NssaError, match=r"part of it cannot be projected.*scene's CRS"):
        Area.from_bounds((85, -2, 120, 2), WGS84, frame)
    nowhere = Frame(10, 10, GLOBE, Affine(1000, 0, 9e6, 0, -1000, 0))
    with pytest.raises(NssaError, match=r"the scene cannot be projected.*scene's CRS"):
        Area.from_bounds((0, 0, 1, 1), WGS84, nowhere)
