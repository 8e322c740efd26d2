"""What comes out: the look of the layer, and the heat map."""

import pytest
from conftest import SAMPLE
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFillSymbol,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from support import Feedback, area_layer, corner, run, text_of


def loaded(path, project):
    """A layer as Processing loads it: without the style that lies beside or in the file."""
    context = QgsProcessingContext()
    context.setProject(project)
    layer = QgsProcessingUtils.mapLayerFromString(str(path), context)
    assert layer is not None
    return project.addMapLayer(layer.clone())


def test_the_layer_is_styled_named_and_documented(scene, project, tmp_path):
    from nssa_gis_qgis.results import GROUP, ResultStyle

    values = {"INPUT": scene, "EXTENT": text_of(corner(scene)), "OUTPUT": str(tmp_path / "a.gpkg")}
    run("detect", values)
    layer = loaded(values["OUTPUT"], project)
    styled = QgsVectorLayer(values["OUTPUT"], "as in the file", "ogr")
    assert styled.loadDefaultStyle()[1], "the GeoPackage carries its style"
    given = ["detect", "https://me:hush@host.org/town.tif"]
    ResultStyle(given, {"objects": 3}).postProcessLayer(layer, None, None)
    assert layer.renderer().dump() == styled.renderer().dump()
    names = {f.name(): layer.attributeDisplayName(i) for i, f in enumerate(layer.fields())}
    assert names["score"] == "Confidence" and names["length_m"] == "Length [m]"
    history = layer.metadata().history()[0]
    assert "detect https://***@host.org/town.tif" in history
    assert project.layerTreeRoot().findGroup(GROUP).findLayer(layer.id())


def test_a_layer_that_brings_no_style_gets_ours(project, tmp_path):
    from nssa_gis_qgis.results import ResultStyle

    layer = area_layer([scene_rectangle()], "EPSG:25832")
    layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple({"color": "1,2,3"})))
    project.addMapLayer(layer)
    ResultStyle([], {}).postProcessLayer(layer, None, None)
    assert layer.renderer().symbol().color().getRgb() == (255, 176, 0, 40)


def scene_rectangle():
    return corner(QgsRasterLayer(str(SAMPLE), "town"))


@pytest.mark.parametrize("crs", [None, "EPSG:4326", "EPSG:3857"])
def test_a_heat_map(scene, tmp_path, crs):
    """Its radius is in metres on the ground, whatever the layer's units."""
    values = {
        "INPUT": scene,
        "EXTENT": text_of(corner(scene, 150)),
        "OUTPUT": str(tmp_path / "a.gpkg"),
        "HEATMAP": str(tmp_path / "heat.tif"),
        "HEATMAP_RADIUS": 20,
        "T_CRS": crs,
    }
    run("detect", values)
    heat = QgsRasterLayer(str(tmp_path / "heat.tif"), "heat")
    assert heat.isValid()
    assert heat.dataProvider().bandStatistics(1).maximumValue > 0.5
    objects = QgsVectorLayer(values["OUTPUT"], "a", "ogr")
    assert crs is None or objects.crs().authid() == crs
    # the map reaches a radius farther than the outermost centres
    change = QgsCoordinateTransform(heat.crs(), QgsCoordinateReferenceSystem(scene.crs()), QgsProject.instance())
    reach = change.transformBoundingBox(heat.extent())
    assert reach.width() == pytest.approx(150 + 40, abs=14)


def test_a_heat_map_of_nothing_is_a_warning(scene, project, tmp_path):
    """And one that cannot be drawn does not lose the layer; QGIS is not asked to load what is not there."""
    output, heat, elsewhere = (str(tmp_path / name) for name in ("a.gpkg", "heat.tif", "missing/heat.tif"))
    values = {"INPUT": scene, "EXTENT": text_of(corner(scene, 60)), "OUTPUT": to_project(output, project)}
    for confidence, target, words in ((1, heat, "there is no heat map"), (0.3, elsewhere, "could not be drawn")):
        feedback, context = Feedback(), QgsProcessingContext()
        heat_map = {"CONFIDENCE": confidence, "HEATMAP": to_project(target, project)}
        got = run("detect", {**values, **heat_map}, feedback, context)
        assert (got["OBJECTS"] > 0) == (confidence < 1) and "HEATMAP" not in got
        assert feedback.heard(words)
        assert list(context.layersToLoadOnCompletion()) == [output]
        assert context.layerToLoadOnCompletionDetails(output).postProcessor() is not None


def to_project(path, project):
    return QgsProcessingOutputLayerDefinition(path, project)


def test_the_utm_zone_of_a_place():
    from nssa_gis_qgis.heat_map import utm_of

    wgs84 = QgsCoordinateReferenceSystem("EPSG:4326")
    for place, name in (((9.1, 48.7), "EPSG:32632"), ((-70.5, -33.4), "EPSG:32719"), ((180, 1), "EPSG:32660")):
        assert utm_of(wgs84, QgsPointXY(*place), QgsProcessingContext()).authid() == name
