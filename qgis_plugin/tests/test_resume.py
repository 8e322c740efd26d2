"""A run that was cancelled goes on: with an extent, an area of interest, and a web map."""

import os
from pathlib import Path

from qgis.core import QgsRectangle
from support import Feedback, area_layer, corner, count, run, text_of

#: In five rows of tiles, one by one, when two and a half are done.
_CANCEL_AT = 45


def cancel_and_resume(values):
    """Do it; give what was said by both runs, and the result."""
    journal = Path(values["OUTPUT"] + ".journal")
    first, second = Feedback(_CANCEL_AT), Feedback()
    assert run("detect", values, first) == {}
    assert not Path(values["OUTPUT"]).exists(), "no half layer"
    assert journal.exists()
    assert first.heard("finished tile rows are kept"), "the engine's own words"
    assert first.heard("Resume an interrupted run")
    got = run("detect", {**values, "RESUME": True}, second)
    assert second.heard("tiles were finished by the interrupted run"), second.said
    assert not journal.exists()
    assert count(values["OUTPUT"]) == got["OBJECTS"]
    return got


def test_a_run_with_an_extent(scene, tmp_path):
    values = {
        "INPUT": scene,
        "EXTENT": text_of(corner(scene, 220)),
        "OUTPUT": str(tmp_path / "a.gpkg"),
        "BATCH_SIZE": 1,
    }
    resumed = cancel_and_resume(values)
    whole = run("detect", {**values, "OUTPUT": str(tmp_path / "b.gpkg")})
    assert resumed["OBJECTS"] == whole["OBJECTS"] > 0


def test_a_run_with_an_area_of_interest(scene, project, tmp_path):
    area = area_layer([corner(scene, 220)], scene.crs().authid())
    project.addMapLayer(area)
    values = {"INPUT": scene, "AOI": area.id(), "OUTPUT": str(tmp_path / "a.gpkg"), "BATCH_SIZE": 1}
    assert cancel_and_resume(values)["OBJECTS"] > 0


def test_a_file_of_a_changed_area_is_another_one(project, tmp_path):
    from nssa_gis_qgis.areas import Area
    from nssa_gis_qgis.storage import Cache
    from qgis.core import QgsProcessingContext, QgsProcessingFeatureSource, QgsProcessingUtils

    context, cache = QgsProcessingContext(), Cache(str(tmp_path))
    context.setProject(project)

    def file(right):
        layer = area_layer([QgsRectangle(0, 0, right, 10)], "EPSG:25832")
        project.addMapLayer(layer)
        source = QgsProcessingUtils.variantToSource(layer.id(), context)
        assert isinstance(source, QgsProcessingFeatureSource)
        return Path(Area.read(source).file(cache, context))

    first = file(10)
    os.utime(first, (1e9, 1e9))
    assert file(10) == first and first.stat().st_mtime == 1e9, "untouched"
    assert file(11) != first


def test_an_export_is_used_again_only_to_resume(project, tmp_path):
    from nssa_gis_qgis.rasters import export
    from nssa_gis_qgis.storage import Cache
    from qgis.core import QgsRasterLayer

    layer = QgsRasterLayer(f"type=xyz&url=file://{tmp_path}/%7Bz%7D.png&zmin=0&zmax=18", "web map", "wms")
    extent, cache = QgsRectangle(0, 0, 30, 30), Cache(str(tmp_path / "cache"))
    first = Path(export(layer, extent, 0.5, cache, False, Feedback()))
    os.utime(first, (1e9, 1e9))
    assert Path(export(layer, extent, 0.5, cache, True, Feedback())) == first
    assert first.stat().st_mtime == 1e9
    assert Path(export(layer, extent, 0.5, cache, False, Feedback())) == first
    assert first.stat().st_mtime > 1e9, "a map may have changed"
    assert Path(export(layer, extent, 0.6, cache, True, Feedback())) != first
    assert len(list(first.parent.iterdir())) == 2


def test_a_temporary_layer_cannot_be_resumed_and_this_is_told(scene, tmp_path):
    values = {"INPUT": scene, "EXTENT": text_of(corner(scene, 220)), "OUTPUT": "TEMPORARY_OUTPUT", "BATCH_SIZE": 1}
    feedback = Feedback(_CANCEL_AT)
    assert run("detect", values, feedback) == {}
    assert feedback.heard("temporary layer cannot be resumed")
    assert not feedback.heard("To go on")


def test_a_run_cancelled_at_its_start_promises_nothing(scene, tmp_path):
    feedback = Feedback()
    feedback.cancel()
    assert run("detect", {"INPUT": scene, "OUTPUT": str(tmp_path / "a.gpkg")}, feedback) == {}
    assert feedback.heard("Cancelled: interrupted")
    assert not feedback.heard("kept") and not feedback.heard("To go on")
    assert not (tmp_path / "a.gpkg.journal").exists()
