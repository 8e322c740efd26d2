import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image, ImageColor

from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.frame import Frame
from nssa_gis.pictures.preview import draw_preview
from nssa_gis.vector.schema import LayerInfo, records
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
    write_layer([records(found, frame, info)], inspect_target(path, crs=frame.crs), info)
    return path


@pytest.mark.parametrize("ext", ["gpkg", "geojson", "fgb", "parquet", "shp", "csv"])
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
    image = scene(tmp_path / "phone.tif", side=20)
    info = LayerInfo("phone", "m", "1", ("car",))
    found = SceneDetections.of([[2, 3, 9, 8]], 0.5, 0)
    boxes = layer(tmp_path / "a.gpkg", info, Frame(20, 20), found)
    draw_preview(image, boxes, tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").width > 20


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
    boxes = layer(tmp_path / "cars.gpkg", info, frame, detections(3))
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
