"""A GeoPackage with other people's data, maybe open elsewhere: nothing of theirs is lost."""

import os
import sqlite3
from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS

from nssa_gis.errors import NssaError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.geopackage import other_tables
from nssa_gis.vector.schema import records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

ROTATED = CRS.from_user_input("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=WGS84")


def write(path, frame, info, found, **options):
    target = inspect_target(path, frame, geometry=info.geometry, **options)
    return write_layer([records(found, frame, info)], target, info)


def query(path, text, *values):
    db = sqlite3.connect(path)
    try:
        return db.execute(text, values).fetchall()
    finally:
        db.close()


def execute(path, *texts):
    db = sqlite3.connect(path)
    with db:
        for text in texts:
            db.execute(text)
    db.close()


def sound(path):
    """Whether SQLite and the spatial index agree with the rows."""
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    for table, column in query(path, "SELECT table_name, column_name FROM gpkg_geometry_columns"):
        index = dict(query(path, f"SELECT id, minx FROM 'rtree_{table}_{column}'"))  # noqa: S608
        read = geopandas.read_file(path, layer=table, fid_as_index=True)
        assert sorted(index) == sorted(read.index)
        np.testing.assert_allclose([index[i] for i in read.index], read.bounds["minx"], atol=0.1, rtol=1e-6)
        assert query(path, "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = ?", table) == [(len(read),)]
        ((x0, y0, x1, y1),) = query(
            path, "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = ?", table
        )
        np.testing.assert_allclose([x0, y0, x1, y1], read.total_bounds, atol=1e-6)
    return True


@pytest.fixture
def project(tmp_path):
    """A project of somebody: two layers, a style, a note in a table of their own."""
    path = tmp_path / "project.gpkg"
    land = [shapely.box(5 * i, 0, 5 * i + 4, 20) for i in range(9)]
    table = geopandas.GeoDataFrame({"owner": list("abcdefghi")}, geometry=land, crs=25832)
    table.to_file(path, layer="parcels")
    table.iloc[:2].to_file(path, layer="roads")
    execute(
        path,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)",
        "INSERT INTO notes (text) VALUES ('kept')",
        "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY, f_table_name TEXT, styleName TEXT)",
        "INSERT INTO layer_styles (f_table_name, styleName) VALUES ('parcels', 'by owner')",
    )
    return path


def all_kept(path):
    assert len(geopandas.read_file(path, layer="parcels")) == 9
    assert list(geopandas.read_file(path, layer="roads").owner) == ["a", "b"]
    assert query(path, "SELECT text FROM notes") == [("kept",)]
    assert query(path, "SELECT styleName FROM layer_styles WHERE f_table_name = 'parcels'") == [("by owner",)]
    return True


@pytest.mark.parametrize("geometry", ["polygon", "point"])
def test_overwrite_replaces_the_layer_alone(project, frame, info, detections, geometry):
    info = replace(info, geometry=geometry)
    for count in (10, 0, 6):  # new, then twice in place of the former one
        counts = write(project, frame, info, detections(count), mode="overwrite")
        layer = geopandas.read_file(project, layer="project")
        assert len(layer) == count == sum(counts.values())
        assert list(layer["id"]) == list(range(1, count + 1))
        assert layer.crs == frame.crs
        assert all_kept(project) and (count == 0 or sound(project))
        assert query(project, "SELECT count(*) FROM layer_styles WHERE f_table_name = 'project'") == [(1,)]
        assert query(project, "SELECT count(*) FROM gpkg_metadata") == [(1,)]
        assert query(project, "SELECT count(*) FROM gpkg_extensions WHERE table_name = 'project'") == [(1,)]
    assert pyogrio.read_info(project, layer="project")["layer_metadata"]["model"] == "vehicles-s"
    assert set(pyogrio.list_layers(project)[:, 0]) >= {"parcels", "roads", "project"}
    assert {p.name for p in project.parent.iterdir()} == {"project.gpkg"}


def test_a_layer_that_is_ours_alone_is_replaced_with_its_file(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(10))
    assert other_tables(path, "a") == ()
    write(path, frame, info, detections(4), mode="overwrite")
    assert len(geopandas.read_file(path)) == 4 and sound(path)
    (tmp_path / "text.gpkg").write_text("something else")
    write(tmp_path / "text.gpkg", frame, info, detections(4), mode="overwrite")
    assert len(geopandas.read_file(tmp_path / "text.gpkg")) == 4


def test_other_crs_than_the_others(project, frame, info, detections):
    other = Frame(4000, 4000, CRS.from_epsg(32633), Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
    write(project, other, info, detections(5), mode="overwrite")
    assert geopandas.read_file(project, layer="project").crs.to_epsg() == 32633
    pole = Frame(4000, 4000, ROTATED, Affine(1e-6, 0, -5, 0, -1e-6, 3))
    write(project, pole, info, detections(5), mode="overwrite")
    there = CRS.from_user_input(geopandas.read_file(project, layer="project").crs)
    assert "rotated" in there.to_wkt().lower() or "ob_tran" in there.to_proj4()
    assert all_kept(project)
    # a number of the file that means something else
    execute(project, "UPDATE gpkg_spatial_ref_sys SET srs_id = 32634 WHERE srs_id = 32633")
    own = Frame(4000, 4000, CRS.from_epsg(32634), Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
    write(project, own, info, detections(5), mode="overwrite")
    assert geopandas.read_file(project, layer="project").crs.to_epsg() == 32634
    number = query(project, "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = 'project'")[0][0]
    (blob,) = query(project, "SELECT geom FROM project")[0]
    assert int.from_bytes(blob[4:8], "little") == number != 32634


def test_what_is_no_vector_layer_is_not_replaced(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(3))
    execute(path, "CREATE TABLE b (x)", "CREATE TABLE c (x)")
    path.rename(tmp_path / "b.gpkg")
    with pytest.raises(NssaError, match="table b is no vector layer"):
        write(tmp_path / "b.gpkg", frame, info, detections(3), mode="overwrite")
    execute(tmp_path / "plain.gpkg", "CREATE TABLE accounts (x)")
    with pytest.raises(NssaError, match="a database of another kind"):
        write(tmp_path / "plain.gpkg", frame, info, detections(3), mode="overwrite")
    assert query(tmp_path / "plain.gpkg", "SELECT count(*) FROM accounts") == [(0,)]


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.slow
def test_a_file_that_is_open_elsewhere(project, frame, info, detections, journal, mode, monkeypatch):
    write(project, frame, info, detections(4), mode="overwrite")
    other = sqlite3.connect(project, isolation_level=None, timeout=1)
    other.execute(f"PRAGMA journal_mode = {journal}")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO notes (text) VALUES ('theirs')")
    with pytest.raises(NssaError, match="another program is writing to it"):
        inspect_target(project, frame, mode=mode)
    other.execute("COMMIT")
    target = inspect_target(project, frame, mode=mode)
    other.execute("INSERT INTO notes (text) VALUES ('meanwhile')")
    write_layer([records(detections(3), frame, info)], target, info)
    other.execute("INSERT INTO notes (text) VALUES ('later')")
    other.close()
    assert [text for (text,) in query(project, "SELECT text FROM notes")] == ["kept", "theirs", "meanwhile", "later"]
    assert len(geopandas.read_file(project, layer="project")) == (7 if mode == "append" else 3)
    assert sound(project)
    # locked when the rows are ready: nothing is written, and the file is whole
    monkeypatch.setattr("nssa_gis.vector.geopackage._WAIT", 0.1)
    target = inspect_target(project, frame, mode=mode)
    other = sqlite3.connect(project, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NssaError, match="another program is writing to it"):
        write_layer([records(detections(3), frame, info)], target, info)
    other.close()
    assert len(geopandas.read_file(project, layer="project")) == (7 if mode == "append" else 3)
    assert {p.name for p in project.parent.iterdir()} == {"project.gpkg"}


def as_multi(table):
    return table.set_geometry([shapely.MultiPolygon([shape]) for shape in table.geometry])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda t: t, "Polygon"),
        (as_multi, "MultiPolygon"),
        (lambda t: t.set_geometry(shapely.force_3d(t.geometry.values, 7.0)), "Polygon"),
        (lambda t: t.assign(id=t["id"].astype(str)), "Polygon"),
        (lambda t: t.assign(id=t["id"].astype("Int64").mask(t.index == 3)), "Polygon"),
        (lambda t: t.assign(checked="yes"), "Polygon"),
        (lambda t: t[t.columns[::-1]], "Polygon"),
        (lambda t: t.to_crs("EPSG:3857"), "Polygon"),
    ],
    ids=["as it was", "multi", "heights", "text id", "id missing", "a field more", "other order", "other CRS"],
)
def test_append_to_a_layer_that_was_edited(tmp_path, frame, info, detections, change, kind):
    first, path = tmp_path / "first.gpkg", tmp_path / "cars.gpkg"
    write(first, frame, info, detections(5))
    change(geopandas.read_file(first)).set_geometry("geometry").to_file(path, layer="cars")
    write(path, frame, info, detections(5), mode="append")
    after = geopandas.read_file(path, layer="cars")
    assert len(after) == 10 and set(after.geom_type) == {kind}
    assert after.geometry.has_z.nunique() == 1
    assert [int(n) for n in after["id"][5:]] == list(range(6, 11))
    far = after.geometry[5:].reset_index(drop=True).distance(after.geometry[:5].reset_index(drop=True))
    assert (far < 1e-3).all()
    assert sound(path)


def test_append_is_refused_before_the_work_or_changes_nothing(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(5))
    content = path.read_bytes()
    target = inspect_target(path, frame, mode="append")
    execute(path, "ALTER TABLE a RENAME COLUMN score TO certainty")
    with pytest.raises(NssaError, match="lacks the field score"):
        write_layer([records(detections(3), frame, info)], target, info)
    assert len(geopandas.read_file(path)) == 5
    path.write_bytes(content)
    execute(path, "CREATE TABLE needs (a TEXT NOT NULL)")
    execute(path, "ALTER TABLE a ADD COLUMN inspector TEXT NOT NULL DEFAULT 'x'")
    write(path, frame, info, detections(1), mode="append")
    path.write_bytes(content)
    execute(path, "CREATE TRIGGER no BEFORE INSERT ON a WHEN NEW.id = 7 BEGIN SELECT RAISE(ABORT, 'no more'); END")
    with pytest.raises(NssaError, match=r"cannot be written \(no more\)"):
        write(path, frame, info, detections(5), mode="append")
    assert len(geopandas.read_file(path)) == 5 and sound(path)
    lines = geopandas.GeoDataFrame(geopandas.read_file(path)).set_geometry(geopandas.read_file(path).geometry.boundary)
    lines.to_file(tmp_path / "lines.gpkg", layer="lines")
    with pytest.raises(NssaError, match="holds linestrings; write another file"):
        inspect_target(tmp_path / "lines.gpkg", frame, mode="append")


def test_a_layer_whose_name_begins_like_ours_keeps_its_index(tmp_path, frame, info, detections):
    path = tmp_path / "cars.gpkg"
    write(path, frame, info, detections(4))
    geopandas.read_file(path).to_file(path, layer="cars_old")
    write(path, frame, info, detections(6), mode="overwrite")
    assert sound(path)
    geopandas.read_file(path, layer="cars_old").to_file(path, layer="cars_old", mode="a")
    assert len(geopandas.read_file(path, layer="cars_old")) == 8


def test_a_layer_that_is_added_meanwhile_is_not_lost(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(4))
    for _ in range(2):  # into our file, and into one that is not there when the work begins
        target = inspect_target(path, frame, mode="overwrite")
        geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32632).to_file(path, layer="review")
        with pytest.raises(NssaError, match="another program has added review meanwhile"):
            write_layer([records(detections(3), frame, info)], target, info)
        assert len(geopandas.read_file(path, layer="review")) == 1
        assert {p.name for p in tmp_path.iterdir()} == {"a.gpkg"}
        path.unlink()


def test_what_seems_to_be_ours_alone_is_looked_at(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(4))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE review (x)")
    with pytest.raises(NssaError, match="another program is writing to it"):
        inspect_target(path, frame, mode="overwrite")
    other.execute("COMMIT")
    other.close()
    assert other_tables(path, "a") == ("review",)
    execute(path, "DROP TABLE review", "CREATE TABLE rtree_species (x)", "CREATE TABLE gpkg_mine (x)")
    assert other_tables(path, "a") == ("rtree_species", "gpkg_mine")
    execute(tmp_path / "accounts.gpkg", "CREATE TABLE accounts (x)")
    with pytest.raises(NssaError, match="a database of another kind"):
        inspect_target(tmp_path / "accounts.gpkg", frame, mode="overwrite")
    tiles = tmp_path / "t.gpkg"
    tiles.write_bytes(path.read_bytes())
    execute(tiles, "UPDATE gpkg_contents SET data_type = 'tiles'", "CREATE TABLE t (x)", "DROP TABLE rtree_species")
    with pytest.raises(NssaError, match="table t is no vector layer"):
        inspect_target(tiles, frame, mode="overwrite")


def test_odd_layers_are_refused_in_one_line_or_taken(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(4))
    content = path.read_bytes()
    for text, words in (
        ("UPDATE gpkg_geometry_columns SET m = 1", "must have measures"),
        ("ALTER TABLE a RENAME TO b; CREATE VIEW a AS SELECT * FROM b", "is a view"),
    ):
        path.write_bytes(content)
        execute(path, *text.split(";"))
        with pytest.raises(NssaError, match=words):
            inspect_target(path, frame, mode="append")
    path.write_bytes(content)
    edited = geopandas.read_file(path)
    edited.loc[1, "id"] = 2**63 - 1
    path.unlink()
    edited.to_file(path, layer="a")
    write(path, frame, info, detections(2), mode="append")
    assert query(path, "SELECT id FROM a ORDER BY fid")[4:] == [(5,), (6,)]
    reserved = tmp_path / "gpkg_x.gpkg"
    write(reserved, frame, info, detections(2))
    geopandas.read_file(path).to_file(reserved, layer="more")
    write(reserved, frame, info, detections(3), mode="append")
    assert len(geopandas.read_file(reserved, layer="layer_gpkg_x")) == 5


def test_a_file_that_was_removed_meanwhile_is_not_made_anew(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, frame, info, detections(4))
    target = inspect_target(path, frame, mode="append")
    path.unlink()
    with pytest.raises(NssaError, match="cannot be written"):
        write_layer([records(detections(3), frame, info)], target, info)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links, pipes and modes are POSIX")
def test_links_pipes_and_modes(tmp_path, frame, info, detections):
    (tmp_path / "loop.gpkg").symlink_to(tmp_path / "loop.gpkg")
    os.mkfifo(tmp_path / "pipe.geojson")
    for name in ("loop.gpkg", "pipe.geojson"):
        with pytest.raises(NssaError, match="no ordinary file"):
            inspect_target(tmp_path / name, frame, mode="overwrite")
    path = tmp_path / "a.geojson"
    write(path, frame, info, detections(3))
    path.chmod(0o600)
    write(path, frame, info, detections(3), mode="overwrite")
    assert path.stat().st_mode & 0o777 == 0o600
