import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image, ImageColor
from pyproj import CRS
from rasterio.enums import ColorInterp

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.frame import Frame
from nssa_gis.pictures.objects import read_objects
from nssa_gis.pictures.preview import draw_preview
from nssa_gis.raster.radiometry import scaling_for
from nssa_gis.raster.resample import resample_image
from nssa_gis.raster.scene import open_scene
from nssa_gis.vector.schema import records
from nssa_gis.vector.style import class_colour
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer


def scene(path, count=3, dtype="uint8", side=1000, **options):
    rng = np.random.default_rng(0)
    pixels = (rng.random((count, side, side)) * (200 if dtype == "uint8" else 3000)).astype(dtype)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=count,
        dtype=dtype,
        crs="EPSG:32632",
        transform=Affine(0.25, 0, 5e5, 0, -0.25, 5e6),
        **options,
    ) as out:
        out.write(pixels)
    return path


def layer(path, info, frame, found):
    write_layer([records(found, frame, info)], inspect_target(path, frame), info)
    return path


def placed(path, side, class_id=0):
    """Envelope of what is drawn in the colour of a class in the overview, whose sides are ``side``."""
    picture = np.asarray(Image.open(path))[:side, :side]
    hit = np.argwhere((picture == ImageColor.getrgb(class_colour(class_id))).all(axis=-1))
    (top, left), (bottom, right) = hit.min(axis=0), hit.max(axis=0)
    return left, top, right, bottom


@pytest.mark.parametrize("ext", ["gpkg", "geojson", "fgb", "parquet", "shp", "csv"])
@pytest.mark.slow
def test_preview_of_every_format(ext, tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif")
    boxes = layer(tmp_path / f"cars.{ext}", info, frame, detections(300, span=980.0))
    draw_preview(image, boxes, tmp_path / "out.png", max_side=800)
    picture = Image.open(tmp_path / "out.png")
    assert picture.width > 1000 and picture.height > 800
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    for class_id in range(3):
        assert ImageColor.getrgb(class_colour(class_id)) in colours


@pytest.mark.parametrize(
    ("count", "dtype", "options"),
    [
        (1, "uint16", {"nodata": 0}),
        (4, "float32", {}),
        (2, "int16", {}),
        (4, "uint8", {"photometric": "RGB"}),
    ],
)
def test_preview_of_other_imagery(count, dtype, options, tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif", count, dtype, **options)
    boxes = layer(tmp_path / "cars.gpkg", info, frame, detections(30, span=980.0))
    draw_preview(image, boxes, tmp_path / "out.png", max_side=500)
    pixels = np.asarray(Image.open(tmp_path / "out.png"))[:500, :500]
    assert 40 < pixels.mean() < 220


def test_preview_without_objects_or_details(tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif")
    none = layer(tmp_path / "none.gpkg", info, frame, SceneDetections.empty())
    draw_preview(image, none, tmp_path / "none.png", max_side=500)
    assert Image.open(tmp_path / "none.png").width == 500
    some = layer(tmp_path / "some.gpkg", info, frame, detections(30, span=980.0))
    draw_preview(image, some, tmp_path / "some.png", max_side=500, details=0)
    assert Image.open(tmp_path / "some.png").width == 500


def test_scene_smaller_than_a_detail(tmp_path, bare_info):
    with rasterio.open(tmp_path / "phone.png", "w", driver="PNG", width=20, height=20, count=3, dtype="uint8") as out:
        out.write(np.full((3, 20, 20), 90, np.uint8))
    found = SceneDetections.of([[2, 3, 9, 8]], 0.5, 0)
    boxes = layer(tmp_path / "a.gpkg", bare_info, Frame(20, 20), found)
    draw_preview(tmp_path / "phone.png", boxes, tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").width > 20
    assert placed(tmp_path / "out.png", 20) == pytest.approx((2, 3, 9, 8), abs=0.6)


def test_detail_shows_the_box_where_it_is(tmp_path, frame, info):
    """One box: its outline in the enlarged place lies where zoom and window put it."""
    image = scene(tmp_path / "town.tif")
    found = SceneDetections.of([[500, 500, 516, 508]], 0.5, 0)
    boxes = layer(tmp_path / "a.gpkg", info, frame, found)
    draw_preview(image, boxes, tmp_path / "out.png", max_side=1000, details=1)
    panel = np.asarray(Image.open(tmp_path / "out.png"))[:1000, 1010:]
    hit = np.argwhere((panel == ImageColor.getrgb(class_colour(0))).all(axis=-1))
    (top, left), (bottom, right) = hit.min(axis=0), hit.max(axis=0)
    assert (left + right) / 2 == pytest.approx(500, abs=4)
    assert (top + bottom) / 2 == pytest.approx(500, abs=4)
    assert (right - left) / (bottom - top) == pytest.approx(2, abs=0.1)


def test_errors(tmp_path, frame, info, detections):
    boxes = layer(tmp_path / "cars.gpkg", info, frame, detections(3, span=30.0))
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(NssaError, match=r"text\.tif: not an image"):
        draw_preview(tmp_path / "text.tif", boxes, tmp_path / "out.png")
    image = scene(tmp_path / "town.tif", side=50)
    with pytest.raises(NssaError, match=r"missing\.gpkg"):
        draw_preview(image, tmp_path / "missing.gpkg", tmp_path / "out.png")
    (tmp_path / "text.parquet").write_text("no layer")
    with pytest.raises(NssaError, match=r"text\.parquet: cannot be read"):
        draw_preview(image, tmp_path / "text.parquet", tmp_path / "out.png")
    with pytest.raises(NssaError, match=r"out\.png: cannot be written"):
        draw_preview(image, boxes, tmp_path / "no" / "out.png")
    (tmp_path / "other.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": 1}, "geometry": '
        '{"type": "Point", "coordinates": [1, 2]}}]}'
    )
    with pytest.raises(NssaError, match="lacks the field class"):
        draw_preview(image, tmp_path / "other.geojson", tmp_path / "out.png")


def test_picture_never_replaces_its_inputs(tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif", side=50)
    boxes = layer(tmp_path / "cars.gpkg", info, frame, detections(3))
    with rasterio.open(tmp_path / "photo.png", "w", driver="PNG", width=9, height=9, count=3, dtype="uint8") as out:
        out.write(np.ones((3, 9, 9), np.uint8))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for output in ("cars.gpkg", "town.tif", "notes"):
        with pytest.raises(UsageError, match=r"end its name in \.png"):
            draw_preview(image, boxes, tmp_path / output)
    with pytest.raises(UsageError, match="also an input"):
        draw_preview(tmp_path / "photo.png", boxes, tmp_path / "photo.png")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def one_box(folder, frame, info):
    """A scene of 1000 x 1000 pixels, and a layer with one box as a table that can be edited."""
    image = scene(folder / "town.tif")
    found = SceneDetections.of([[300, 500, 340, 520]], 0.5, 0)
    return image, geopandas.read_file(layer(folder / "cars.gpkg", info, frame, found), layer="cars")


def drawn(image, table, folder, side=1000):
    table.to_file(folder / "edited.gpkg", layer="edited")
    draw_preview(image, folder / "edited.gpkg", folder / "out.png", max_side=side, details=0)
    return placed(folder / "out.png", side)


def test_geometry_is_drawn_not_the_pixel_fields(tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    assert drawn(image, table, tmp_path) == pytest.approx((300, 500, 340, 520), abs=1)
    table.geometry = table.geometry.translate(25, 50)  # 100 pixels right, 200 up
    assert drawn(image, table, tmp_path) == pytest.approx((400, 300, 440, 320), abs=1)
    bare = table.drop(columns=["class_id", "score", "x_px", "y_px", "w_px", "h_px", "scene"])
    assert drawn(image, bare, tmp_path) == pytest.approx((400, 300, 440, 320), abs=1)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32633"])
def test_a_layer_in_another_crs_is_the_same_layer(crs, tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    assert drawn(image, table.to_crs(crs), tmp_path) == pytest.approx((300, 500, 340, 520), abs=1.5)


def test_a_turned_polygon_is_drawn_turned(tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    table.geometry = table.geometry.rotate(45)
    half = (40 + 20) / 2 / 2**0.5
    assert drawn(image, table, tmp_path) == pytest.approx((320 - half, 510 - half, 320 + half, 510 + half), abs=2)
    corner = np.asarray(Image.open(tmp_path / "out.png"))[490:495, 300:305]
    assert (corner != ImageColor.getrgb(class_colour(0))).any(axis=-1).all()


def test_points_have_the_size_of_their_fields(tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    table.geometry = table.geometry.centroid
    assert drawn(image, table, tmp_path) == pytest.approx((300, 500, 340, 520), abs=1)
    left, top, right, bottom = drawn(image, table.drop(columns="w_px"), tmp_path)
    assert (left + right, top + bottom) == pytest.approx((640, 1020), abs=2)
    assert right - left < 8
    empty = table.assign(geometry=[shapely.Point()])
    assert drawn(image, pandas.concat([table, empty], ignore_index=True), tmp_path) == pytest.approx(
        (300, 500, 340, 520), abs=1
    )


def test_a_layer_that_does_not_meet_the_scene_is_refused(tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    table.geometry = table.geometry.translate(90_000, 0)
    with pytest.raises(
        NssaError, match=r"edited\.gpkg: none of its objects lies on the scene .*town\.tif \(1 object in "
    ):
        drawn(image, table, tmp_path)
    assert not (tmp_path / "out.png").exists()


def test_objects_beside_the_scene_are_left_out_and_counted(tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif", side=500)
    found = detections(200, span=980.0)
    boxes = layer(tmp_path / "cars.gpkg", info, frame, found)
    with open_scene(image) as opened:
        objects = read_objects(boxes, opened)
    inside = (found.boxes[:, :2] < 500).all(axis=1)
    assert len(objects) == inside.sum()
    assert objects.elsewhere == (~inside).sum() > 0
    np.testing.assert_allclose(objects.boxes, found.boxes[inside], atol=1e-3)
    assert objects.upright.all()


def test_rows_with_empty_fields_are_drawn(tmp_path, frame, info, detections):
    image = scene(tmp_path / "town.tif")
    table = geopandas.read_file(layer(tmp_path / "cars.gpkg", info, frame, detections(60, span=980.0)), layer="cars")
    numbers = ["class_id", "x_px", "y_px", "w_px", "h_px"]
    table[numbers] = table[numbers].astype(float)
    table.loc[::3, ["class", "score", "scene", *numbers]] = None
    table.loc[1::3, "class_id"] = None
    added = table.iloc[[1]].assign(**{"class": "tram"})
    table = pandas.concat([table, added], ignore_index=True)
    table.to_file(tmp_path / "edited.gpkg")
    with open_scene(image) as opened:
        objects = read_objects(tmp_path / "edited.gpkg", opened)
    named = [objects.names[k] for k in objects.class_id.tolist()]
    assert named == table["class"].fillna("no class").tolist()
    assert objects.class_id[-1] == 3  # a number of its own, behind those of the model
    draw_preview(image, tmp_path / "edited.gpkg", tmp_path / "out.png")


def test_rows_of_other_scenes_are_left_out(tmp_path, frame, info):
    image, table = one_box(tmp_path, frame, info)
    other = table.assign(scene="village", geometry=table.geometry.translate(50, 0))
    both = pandas.concat([table, other], ignore_index=True)
    assert drawn(image, both, tmp_path) == pytest.approx((300, 500, 340, 520), abs=1)
    renamed = both.assign(scene="village")
    assert drawn(image, renamed, tmp_path) == pytest.approx((300, 500, 540, 520), abs=1)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", Affine.translation(5e5, 5e6) * Affine.rotation(30) * Affine.scale(0.25, -0.25)),
        ("EPSG:4326", Affine(1e-5, 0, 179.995, 0, -1e-5, 10)),  # across the antimeridian, where GeoJSON is cut in two
    ],
)
def test_rotated_scene_and_the_antimeridian(crs, transform, tmp_path, info):
    frame = Frame(1000, 1000, CRS.from_user_input(crs), transform)
    image = tmp_path / "town.tif"
    size = {"width": 1000, "height": 1000, "count": 1, "dtype": "uint8"}
    with rasterio.open(image, "w", driver="GTiff", crs=crs, transform=transform, **size) as out:
        out.write(np.full((1, 1000, 1000), 90, np.uint8))
    found = SceneDetections.of([[480, 500, 520, 520]], 0.5, 0)
    boxes = layer(tmp_path / "cars.geojson", info, frame, found)
    draw_preview(image, boxes, tmp_path / "out.png", max_side=1000, details=0)
    assert placed(tmp_path / "out.png", 1000) == pytest.approx((480, 500, 520, 520), abs=1)


def test_pixels_are_those_that_detect_sees(tmp_path, frame, info):
    """Declared colours in another order, 16 bit, nodata: the bands, the scaling and the resampling of detection."""
    pixels = np.random.default_rng(1).integers(100, 3000, (4, 600, 600)).astype(np.uint16)
    pixels[:, :200] = 0
    path = tmp_path / "town.tif"
    size = {"width": 600, "height": 600, "count": 4, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32632", transform=frame.transform, nodata=0, **size) as out:
        out.colorinterp = [ColorInterp[name] for name in ("blue", "green", "red", "undefined")]
        out.write(pixels)
    boxes = layer(tmp_path / "none.gpkg", info, frame, SceneDetections.empty())
    draw_preview(path, boxes, tmp_path / "out.png", max_side=300, details=0)
    picture = np.asarray(Image.open(tmp_path / "out.png"))[:300, :300]
    with open_scene(path) as opened:
        scaling = scaling_for(opened, (3, 2, 1))
    small = resample_image(scaling.convert(pixels[[2, 1, 0]])[0], 300, 300)
    assert (picture[:100] == 0).all()
    np.testing.assert_array_equal(picture[100:], small.transpose(1, 2, 0)[100:])
