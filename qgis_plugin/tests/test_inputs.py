"""What the engine is given: rasters, extents and areas of interest of every kind."""

import re
import subprocess
import zipfile

import pytest
from conftest import SAMPLE
from nssa_gis_qgis.rasters import gdal_name
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from support import Feedback, area_layer, corner, count, run, text_of


def to(layer, name):
    return QgsCoordinateTransform(layer.crs(), QgsCoordinateReferenceSystem(name), QgsProject.instance())


def test_an_extent_in_the_project_crs_finds_the_same_as_in_the_scenes(scene, tmp_path):
    part = corner(scene)
    first = run("detect", {"INPUT": scene, "EXTENT": text_of(part), "OUTPUT": str(tmp_path / "a.gpkg")})
    assert first["OBJECTS"] == count(tmp_path / "a.gpkg") > 0
    web = text_of(to(scene, "EPSG:3857").transformBoundingBox(part), QgsProject.instance().crs())
    second = run("detect", {"INPUT": scene, "EXTENT": web, "OUTPUT": str(tmp_path / "b.gpkg")})
    assert 0 <= second["OBJECTS"] - first["OBJECTS"] <= 3, "the box of the turned box is a little larger"


def test_selected_features_in_another_crs_are_the_area(scene, project, tmp_path):
    part = corner(scene)
    area = area_layer([scene.extent(), part], change=to(scene, "EPSG:4326"))
    project.addMapLayer(area)
    area.selectByIds([2])
    chosen = QgsProcessingFeatureSourceDefinition(area.id(), selectedFeaturesOnly=True)
    by_area = run("detect", {"INPUT": scene, "AOI": chosen, "OUTPUT": str(tmp_path / "a.gpkg")})
    by_extent = run("detect", {"INPUT": scene, "EXTENT": text_of(part), "OUTPUT": str(tmp_path / "b.gpkg")})
    assert 0 < by_area["OBJECTS"]
    assert abs(by_area["OBJECTS"] - by_extent["OBJECTS"]) <= 2, "the edge of the area decides by the centre"
    area.removeSelection()
    with pytest.raises(QgsProcessingException, match="no feature"):
        run("detect", {"INPUT": scene, "AOI": chosen, "OUTPUT": str(tmp_path / "c.gpkg")})


def test_an_extent_clips_an_area(scene, project, tmp_path):
    """The engine takes one of the two; the user may give both."""
    left, right = corner(scene), corner(scene)
    left.setXMaximum(left.center().x() + 10)
    right.setXMinimum(right.center().x() - 10)
    area = area_layer([left], change=to(scene, "EPSG:4326"))
    project.addMapLayer(area)
    values = {"INPUT": scene, "AOI": area.id(), "EXTENT": text_of(right), "OUTPUT": str(tmp_path / "a.gpkg")}
    both = run("detect", values)
    middle = left.intersect(right)
    only = run("detect", {"INPUT": scene, "EXTENT": text_of(middle), "OUTPUT": str(tmp_path / "b.gpkg")})
    assert 0 < only["OBJECTS"] and abs(both["OBJECTS"] - only["OBJECTS"]) <= 1
    apart = corner(scene, 20)
    apart.setXMinimum(left.xMaximum() + 20)
    apart.setXMaximum(left.xMaximum() + 40)
    with pytest.raises(QgsProcessingException, match="do not overlap"):
        run("detect", {**values, "EXTENT": text_of(apart)})


def test_an_area_that_is_not_there_is_told(scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="AOI"):
        run("detect", {"INPUT": scene, "AOI": "nowhere", "OUTPUT": str(tmp_path / "a.gpkg")})


def test_an_area_with_curves_and_faults(scene, project, tmp_path):
    """A circle of QGIS' own, and a bow tie, which is invalid."""
    from qgis.core import QgsFeature, QgsGeometry

    centre, half = scene.extent().center(), 30
    area = QgsVectorLayer(f"CurvePolygon?crs={scene.crs().authid()}", "areas", "memory")
    x, y = centre.x(), centre.y()
    circle = (
        f"CurvePolygon(CircularString({x - half} {y}, {x} {y + half}, {x + half} {y}, {x} {y - half}, {x - half} {y}))"
    )
    bow = f"Polygon(({x} {y}, {x + 9} {y + 9}, {x + 9} {y}, {x} {y + 9}, {x} {y}))"
    for text in (circle, bow):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(text))
        assert area.dataProvider().addFeature(feature)
    project.addMapLayer(area)
    got = run("detect", {"INPUT": scene, "AOI": area.id(), "OUTPUT": str(tmp_path / "a.gpkg")})
    assert got["OBJECTS"] == count(tmp_path / "a.gpkg")


def web_map(folder):
    """A web map whose tiles are missing: GDAL cannot open it."""
    xyz = f"type=xyz&url=file://{folder}/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmin=0&zmax=18"
    layer = QgsRasterLayer(xyz, "web map", "wms")
    assert layer.isValid()
    return layer


def test_a_web_map_is_exported_or_refused(scene, project, tmp_path):
    layer = web_map(tmp_path)
    values = {"INPUT": layer, "OUTPUT": str(tmp_path / "a.gpkg")}
    with pytest.raises(QgsProcessingException, match="choose an extent"):
        run("detect", values)
    with pytest.raises(QgsProcessingException, match="the limit for such a layer is 20000 a side"):
        run("detect", {**values, "EXTENT": "0,200000,0,200000 [EPSG:3857]"})
    feedback = Feedback()
    got = run("detect", {**values, "EXTENT": "0,120,0,120 [EPSG:3857]"}, feedback)
    assert got["OBJECTS"] == 0
    assert feedback.heard("Exporting web map: 600 x 5")
    assert feedback.heard("one colour only"), "there are no tiles"


def test_an_area_is_the_extent_of_a_web_map(project, tmp_path):
    from qgis.core import QgsRectangle

    area = area_layer([QgsRectangle(10, 10, 70, 40)], "EPSG:3857")
    project.addMapLayer(area)
    feedback = Feedback()
    run("detect", {"INPUT": web_map(tmp_path), "AOI": area.id(), "OUTPUT": str(tmp_path / "a.gpkg")}, feedback)
    assert feedback.heard("Exporting web map: 300 x 149")


def test_an_export_is_cancelled(project, tmp_path):
    feedback = Feedback()
    feedback.cancel()
    values = {"INPUT": web_map(tmp_path), "EXTENT": "0,3000,0,3000 [EPSG:3857]", "OUTPUT": str(tmp_path / "a.gpkg")}
    assert run("detect", values, feedback) == {}
    assert not feedback.heard("Engine")


def test_a_raster_in_a_zip_archive(scene, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(SAMPLE, "x/town.tif")
    layer = QgsRasterLayer(f"/vsizip/{tmp_path}/a.zip/x/town.tif", "zipped")
    assert layer.isValid()
    got = run("detect", {"INPUT": layer, "EXTENT": text_of(corner(scene)), "OUTPUT": str(tmp_path / "a.gpkg")})
    assert got["OBJECTS"] > 0


@pytest.mark.parametrize(
    "source",
    [
        "/vsizip//a.zip/x.tif",
        "/vsigzip//a/b.tif.gz",
        "C:/a b/ü.tif",
        "GPKG:/a/x.gpkg:table",
        'NETCDF:"/a b.nc":temperature',
        'HDF5:"/x.h5"://group/band',
        "SENTINEL2_L2A:/vsizip//a.zip/MTD.xml:10m:EPSG_32632",
        "/a/x.gpkg|layerid=2",
    ],
)
def test_names_of_gdal_go_whole(source):
    feedback = Feedback()
    assert gdal_name(source, "x", feedback) == source
    assert feedback.said == []


def test_what_qgis_added_to_a_name():
    feedback = Feedback()
    assert gdal_name("/a/x.tif|option:NUM_THREADS=2|option:A=B", "x", feedback) == "/a/x.tif"
    assert feedback.heard("ignores")
    for source in ("/vsicurl/https://h.org/x.tif authcfg='abc1234'", "/vsis3/b/x.tif|credential:AWS_SECRET=1"):
        with pytest.raises(QgsProcessingException, match="login"):
            gdal_name(source, "x", feedback)


def test_a_crs_that_only_qgis_knows_is_warned_of_and_the_place_is_right(scene, tmp_path):
    """The extent is where QGIS shows the raster; the pixels found are the same, and carry the file's CRS."""
    part = text_of(corner(scene))
    right = run("detect", {"INPUT": scene, "EXTENT": part, "OUTPUT": str(tmp_path / "a.gpkg")})
    moved = QgsRasterLayer(str(SAMPLE), "moved")
    moved.setCrs(QgsCoordinateReferenceSystem("EPSG:25833"))
    area = area_layer([corner(scene)], "EPSG:4326", to(moved, "EPSG:4326"))
    QgsProject.instance().addMapLayers([moved, area])
    for name, where in (("b", {"EXTENT": part + " [EPSG:25833]"}), ("c", {"AOI": area.id()})):
        feedback = Feedback()
        got = run("detect", {"INPUT": moved, **where, "OUTPUT": str(tmp_path / f"{name}.gpkg")}, feedback)
        assert feedback.heard("has the CRS EPSG:25833, but its file says EPSG:25832")
        assert abs(got["OBJECTS"] - right["OBJECTS"]) <= 1
        layer = QgsVectorLayer(str(tmp_path / f"{name}.gpkg"), "x", "ogr")
        assert layer.crs().authid() == "EPSG:25832"


def test_a_file_without_a_crs(scene, tmp_path):
    """A world file and no more: the engine looks at it pixel by pixel, and an extent still is in its units."""
    bare = tmp_path / "bare.vrt"
    subprocess.run(["gdal_translate", "-q", "-of", "VRT", str(SAMPLE), str(bare)], check=True)
    bare.write_text(re.sub("<SRS.*</SRS>", "", bare.read_text()))
    layer = QgsRasterLayer(str(bare), "bare")
    layer.setCrs(scene.crs())
    feedback = Feedback()
    part = text_of(corner(scene), scene.crs())
    got = run("detect", {"INPUT": layer, "EXTENT": part, "OUTPUT": str(tmp_path / "a.gpkg")}, feedback)
    assert got["OBJECTS"] > 0
    assert feedback.heard("but its file says none")
