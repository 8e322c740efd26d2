import csv
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector import formats, writer
from nssa_gis.vector.schema import FIELDS, records
from nssa_gis.vector.target import driver_of, inspect_target, layer_name
from nssa_gis.vector.writer import write_layer

NAMES = [f.name for f in FIELDS]
UTM = CRS.from_epsg(32632)
ALL = ["gpkg", "geojson", "fgb", "parquet", "shp", "csv"]


def write(path, info, frame, found, step=7, **options):
    target = inspect_target(path, frame, geometry=info.geometry, **options)
    return write_layer(batches(info, frame, found, step), target, info)


def batches(info, frame, found, step=7):
    for start in range(0, len(found), step):
        yield records(found.take(slice(start, start + step)), frame, info)


def inspect(path, crs=UTM, **options):
    transform = None if crs is None else Affine(0.25, 0, 6e5, 0, -0.25, 5.5e6)
    return inspect_target(path, Frame(400, 400, crs, transform), **options)


def read(path, layer=None):
    """Geometries and columns in the order of id."""
    if path.suffix == ".parquet":
        import geopandas

        table = geopandas.read_parquet(path)
        columns, shapes = {k: table[k].to_numpy() for k in NAMES}, table.geometry.to_numpy()
    else:
        meta, _, wkb, values = pyogrio.raw.read(path, layer=layer or path.stem)
        columns, shapes = dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(wkb)
        if "model_vers" in columns:
            columns["model_version"] = columns.pop("model_vers")
    if path.suffix == ".csv":
        columns = {f.name: typed(columns[f.name], f.dtype) for f in FIELDS}
    order = np.argsort(columns["id"])
    return shapes[order], {k: np.asarray(columns[k])[order] for k in NAMES}


def typed(texts, dtype):
    return np.where(texts == "", "nan", texts).astype(dtype) if dtype != "string" else texts


def left_over(folder):
    return sorted(p.name for p in folder.iterdir() if "partial" in p.name)


@pytest.mark.parametrize("ext", ALL)
@pytest.mark.parametrize("geometry", ["polygon", "point"])
def test_round_trip(ext, geometry, tmp_path, frame, info, detections):
    info = replace(info, geometry=geometry)
    found, path = detections(60), tmp_path / f"cars.{ext}"
    write(path, info, frame, found)
    batch = records(found, frame, info)
    shapes, columns = read(path)
    expected = shapely.from_wkb(batch["geometry"].to_pylist())
    if ext == "geojson":
        to = CRS.from_epsg(4326)
        from pyproj import Transformer

        change = Transformer.from_crs(frame.crs, to, always_xy=True).transform
        expected = shapely.transform(expected, lambda xy: np.stack(change(*xy.T), -1))
    tolerance = 1e-8 if ext == "geojson" else 1e-4
    assert shapely.equals_exact(shapely.normalize(shapes), shapely.normalize(expected), tolerance).all()
    assert columns["id"].tolist() == list(range(1, 61))
    for field in FIELDS[1:]:
        if field.dtype == "float64":
            assert np.allclose(columns[field.name].astype(float), batch[field.name].to_numpy(), atol=1e-9)
        else:
            assert columns[field.name].tolist() == batch[field.name].to_pylist()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("ext", [e for e in ALL if e != "geojson"])
def test_empty_layer_has_its_fields(ext, tmp_path, info):
    path = tmp_path / f"none.{ext}"
    assert write_layer([], inspect(path), info) == {}
    shapes, columns = read(path)
    assert len(shapes) == 0
    assert list(columns) == NAMES


def test_empty_geojson_is_a_collection(tmp_path, info):
    write_layer([], inspect(tmp_path / "none.geojson"), info)
    assert json.loads((tmp_path / "none.geojson").read_text(encoding="utf-8"))["features"] == []


@pytest.mark.parametrize("ext", ALL)
def test_scene_without_crs(ext, tmp_path, bare_info, detections):
    path = tmp_path / f"bare.{ext}"
    found = detections(9)
    write(path, bare_info, Frame(4000, 4000), found)
    shapes, columns = read(path)
    assert np.allclose(shapely.bounds(shapes)[:, 3], -found.boxes[:, 1], atol=1e-3)
    assert np.isnan(columns["width_m"].astype(float)).all()
    if ext == "gpkg":
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT srs_id FROM gpkg_contents WHERE table_name = 'bare'").fetchone() == (-1,)
            assert db.execute("SELECT count(*) FROM bare WHERE width_m IS NULL").fetchone() == (9,)


def test_gpkg_container(tmp_path, frame, info, detections):
    path = tmp_path / "cars.gpkg"
    write(path, info, frame, detections(40))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (10300,)
        assert db.execute("SELECT count(*) FROM rtree_cars_geom").fetchone() == (40,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT data_type FROM gpkg_contents WHERE table_name='layer_styles'").fetchone() == (
            "attributes",
        )
        assert db.execute("SELECT srs_id FROM gpkg_contents WHERE table_name='cars'").fetchone() == (32632,)
    meta = pyogrio.read_info(path, layer="cars")
    assert meta["layer_metadata"]["software"] == "nssa-gis 0.1"
    assert meta["layer_metadata"]["ümlaut"] == "ja"
    assert meta["layer_metadata"]["classes"] == "car, truck, boat"
    inside = pyogrio.raw.read(path, layer="cars", bbox=(500000, 4999000, 500500, 5000000))[2]
    assert 0 < len(inside) < 40


def test_csv_as_a_spreadsheet_reads_it(tmp_path, frame, info, detections):
    write(tmp_path / "a.csv", replace(info, scene='say "a, b"', model_version="1.0"), frame, detections(3))
    write(tmp_path / "b.csv", info, Frame(4000, 4000), detections(3))
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["WKT", "center_x", "center_y", *NAMES]
    first = dict(zip(header, rows[0], strict=True))
    assert (first["id"], first["scene"], first["model_version"]) == ("1", 'say "a, b"', "1.0")
    shape = shapely.from_wkt(first["WKT"])
    assert shape.centroid.x == pytest.approx(float(first["center_x"]), abs=1e-3)
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        assert [row["width_m"] for row in csv.DictReader(file)] == [""] * 3


def test_metadata_of_other_formats(tmp_path, frame, info, detections):
    import pyarrow.parquet as pq

    for ext in ("geojson", "fgb", "parquet"):
        write(tmp_path / f"a.{ext}", info, frame, detections(3))
    assert pyogrio.read_info(tmp_path / "a.fgb")["layer_metadata"]["ümlaut"] == "ja"
    collection = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection["nssa_gis"]["ümlaut"] == "ja"
    schema = pq.read_schema(tmp_path / "a.parquet").metadata
    assert json.loads(schema[b"nssa_gis"])["ümlaut"] == "ja"
    assert json.loads(schema[b"geo"])["columns"]["geometry"]["crs"]["id"]["code"] == 32632


def test_many_chunks_give_the_same_as_one(tmp_path, frame, info, detections, monkeypatch):
    found = detections(500)
    write(tmp_path / "one.gpkg", info, frame, found, step=500)
    monkeypatch.setattr(writer, "_BATCH_ROWS", 64)
    counts = write(tmp_path / "many.gpkg", info, frame, found, step=33)
    a, b = read(tmp_path / "one.gpkg"), read(tmp_path / "many.gpkg")
    assert shapely.equals_exact(a[0], b[0], 0).all()
    assert all(np.array_equal(a[1][k], b[1][k]) for k in NAMES)
    assert counts == {k: int((found.labels == k).sum()) for k in range(3)}


def test_t_crs(tmp_path, frame, info, detections):
    write(tmp_path / "a.gpkg", info, frame, detections(20), t_crs="EPSG:3857")
    assert pyogrio.read_info(tmp_path / "a.gpkg", layer="a")["crs"] == "EPSG:3857"
    write(tmp_path / "b.gpkg", info, frame, detections(20), t_crs="EPSG:4326")
    x, y = shapely.get_coordinates(read(tmp_path / "b.gpkg")[0]).T
    assert (9 <= x).all() and (x < 9.1).all() and (45 < y).all() and (y < 45.2).all()


def antimeridian(crs):
    """A frame around 180 degrees east at 17 degrees south, 0.25 m pixels."""
    if crs.is_geographic:
        step = 0.25 / 111320
        return Frame(1000, 1000, crs, Affine(step, 0, 180 - 500 * step, 0, -step, -17))
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(180, -17)
    return Frame(1000, 1000, crs, Affine(0.25, 0, x - 125, 0, -0.25, y + 125))


@pytest.mark.parametrize("epsg", [4326, 32760, 32701, 3832])
def test_antimeridian(epsg, tmp_path, info, detections):
    crs = CRS.from_epsg(epsg)
    frame = antimeridian(crs)
    found = detections(300, span=980.0)
    write(tmp_path / "a.geojson", info, frame, found)
    shapes, columns = read(tmp_path / "a.geojson")
    assert shapely.is_valid(shapes).all()
    x = shapely.get_coordinates(shapes)[:, 0]
    assert (np.abs(x) <= 180).all() and (x < 0).any() and (x > 0).any()
    parts = shapely.get_parts(shapes)
    assert (np.ptp(shapely.bounds(parts)[:, [0, 2]], axis=1) < 1e-3).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(parts)).all()
    assert (shapely.get_type_id(shapes) == 6).sum() > 3
    metres = shapely.area(shapes) * 111320**2 * np.cos(np.radians(17))
    assert np.allclose(metres, columns["area_m2"], rtol=0.02)
    for target, width in (("EPSG:4326", 1e-3), ("EPSG:3857", 100)):
        path = tmp_path / f"{target[5:]}.gpkg"
        write(path, info, frame, found, t_crs=target)
        whole = read(path)[0]
        assert (np.ptp(shapely.bounds(whole)[:, [0, 2]], axis=1) < width).all()
        assert shapely.is_valid(whole).all() and (shapely.get_type_id(whole) == 3).all()


def test_reprojection_out_of_range_is_said(tmp_path, info, detections):
    crs = CRS.from_epsg(4326)
    frame = Frame(4000, 4000, crs, Affine(1e-6, 0, 10, 0, -1e-6, -90))
    with pytest.raises(NssaError, match="outside the area"):
        write(tmp_path / "a.gpkg", info, frame, detections(5, span=1), t_crs="EPSG:2154")
    assert list(tmp_path.iterdir()) == []


def test_shapefile_record_length_is_the_assumed_one(tmp_path, frame, info, detections):
    write(tmp_path / "a.shp", info, frame, detections(5))
    head = (tmp_path / "a.dbf").read_bytes()[:12]
    assert int.from_bytes(head[10:12], "little") == formats._DBF_RECORD


def test_shapefile_over_2_gb_is_refused(tmp_path, frame, info, detections, monkeypatch):
    monkeypatch.setattr(formats, "_DBF_LIMIT", 5000)
    with pytest.raises(NssaError, match="2 GB"):
        write(tmp_path / "a.shp", info, frame, detections(50))
    assert list(tmp_path.iterdir()) == []


def test_shapefile_replaces_all_its_parts(tmp_path, frame, info, detections):
    (tmp_path / "a.qix").write_text("stale")
    (tmp_path / "a.dbf").write_text("someone else's")
    with pytest.raises(NssaError, match=r"a\.dbf: exists already"):
        inspect(tmp_path / "a.shp")
    write(tmp_path / "a.shp", info, frame, detections(5), mode="overwrite")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.cpg", "a.dbf", "a.prj", "a.shp", "a.shx"]


def test_exception_leaves_nothing(tmp_path, frame, info, detections):
    def stops(error):
        yield records(detections(5), frame, info)
        assert len(left_over(tmp_path)) == 1
        raise error

    for error in (ZeroDivisionError(), OSError("the journal cannot be read"), KeyboardInterrupt()):
        for ext in ALL:
            with pytest.raises(type(error)) as raised:
                write_layer(stops(error), inspect(tmp_path / f"a.{ext}"), info)
            assert raised.value is error
    assert list(tmp_path.iterdir()) == []


def test_existing_output(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    path.write_text("mine")
    with pytest.raises(NssaError, match="exists already"):
        inspect(path)
    with pytest.raises(ZeroDivisionError):
        write_layer((1 / 0 for _ in range(3)), inspect(path, mode="overwrite"), info)
    assert path.read_text() == "mine"
    write(path, info, frame, detections(5), mode="overwrite")
    assert len(read(path)[0]) == 5


def test_output_that_appears_meanwhile_is_kept(tmp_path, info):
    path = tmp_path / "a.gpkg"
    target = inspect(path)
    path.write_text("mine")
    with pytest.raises(NssaError, match="appeared meanwhile"):
        write_layer([], target, info)
    assert path.read_text() == "mine" and left_over(tmp_path) == []


def test_stale_write_ahead_log_is_removed(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, info, frame, detections(5))
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("UPDATE gpkg_contents SET description = 'edited'")
    other.commit()
    assert (tmp_path / "a.gpkg-wal").exists()
    write(path, info, frame, detections(8), mode="overwrite")
    assert not (tmp_path / "a.gpkg-wal").exists()
    other.close()
    assert len(read(path)[0]) == 8
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT * FROM gpkg_contents WHERE description = 'edited'").fetchall() == []


def test_symbolic_link_stays(tmp_path, frame, info, detections):
    real, link = tmp_path / "real.gpkg", tmp_path / "link.gpkg"
    write(real, info, frame, detections(5))
    link.symlink_to(real)
    write(link, info, frame, detections(6), mode="overwrite")
    assert link.is_symlink() and len(read(real)[0]) == 6


@pytest.mark.parametrize("name", ["gpkg_x.gpkg", "a b'c\"d.gpkg", "häuser [1].shp", "layer_styles.gpkg", "x.y.fgb"])
def test_odd_names(name, tmp_path, frame, info, detections):
    path = tmp_path / name
    write(path, info, frame, detections(3))
    layer = layer_name(path)
    assert len(read(path, layer)[0]) == 3
    if path.suffix == ".gpkg":
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT f_table_name FROM layer_styles").fetchall() == [(layer,)]


def test_driver_by_extension_and_by_force(tmp_path, frame, info, detections):
    assert driver_of("a.GPKG") == "GPKG"
    assert driver_of("a.json") == "GeoJSON"
    assert driver_of("a.x", "geoparquet") == "Parquet"
    write(tmp_path / "a.dat", info, frame, detections(3), driver="flatgeobuf")
    assert pyogrio.read_info(tmp_path / "a.dat")["driver"] == "FlatGeobuf"
    for path, driver in (("a.xyz", None), ("noext", None), ("a.gpkg", "KML"), ("a.gpkg", "shapefile")):
        with pytest.raises(UsageError):
            driver_of(path, driver)


def test_bad_outputs(tmp_path):
    with pytest.raises(NssaError, match="does not exist"):
        inspect(tmp_path / "no" / "a.gpkg")
    (tmp_path / "dir.gpkg").mkdir()
    with pytest.raises(NssaError, match="is a folder"):
        inspect(tmp_path / "dir.gpkg")
    with pytest.raises(UsageError, match="only a GeoPackage"):
        inspect(tmp_path / "a.geojson", mode="append")
    with pytest.raises(UsageError, match="not a known coordinate system"):
        inspect(tmp_path / "a.gpkg", t_crs="EPSG:oops")
    with pytest.raises(UsageError, match="always longitude"):
        inspect(tmp_path / "a.geojson", t_crs="EPSG:3857")
    with pytest.raises(UsageError, match="no coordinate system"):
        inspect(tmp_path / "a.gpkg", crs=None, t_crs="EPSG:3857")
    assert [p.name for p in tmp_path.iterdir()] == ["dir.gpkg"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(NssaError, match="cannot be written to"):
        inspect(tmp_path / "a.gpkg")


_FULL = """
import resource, signal, sys
from affine import Affine
from pyproj import CRS
import numpy as np
from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError
from nssa_gis.geo.frame import Frame
from nssa_gis.vector.schema import LayerInfo, records
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer
crs = CRS.from_epsg(32632)
frame = Frame(4000, 4000, crs, Affine(0.25, 0, 5e5, 0, -0.25, 5e6))
info = LayerInfo("s", "m", "1", ("car",))
xy = np.random.default_rng(0).uniform(0, 3900, (20000, 2))
found = SceneDetections.of(np.concatenate([xy, xy + 9], 1), 0.5, 0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = inspect_target(sys.argv[1], frame)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    write_layer([records(found, frame, info)], target, info)
except NssaError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
@pytest.mark.parametrize("ext", ALL)
@pytest.mark.slow
def test_full_disk(ext, tmp_path):
    """A file size limit stands for a full disk: writes fail in the middle."""
    path = tmp_path / f"a.{ext}"
    done = subprocess.run([sys.executable, "-c", _FULL, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout and len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_append(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, info, frame, detections(10), mode="append")
    before = read(path)
    zone33 = CRS.from_epsg(32633)
    second = replace(info, scene="village")
    counts = write(
        path,
        second,
        Frame(4000, 4000, zone33, Affine(0.25, 0, 5e5, 0, -0.25, 5e6)),
        detections(6, 1),
        mode="append",
    )
    shapes, columns = read(path)
    assert columns["id"].tolist() == list(range(1, 17)) and sum(counts.values()) == 6
    assert columns["scene"].tolist() == ["town"] * 10 + ["village"] * 6
    assert shapely.equals_exact(shapes[:10], before[0], 0).all()
    assert (shapely.bounds(shapes[10:])[:, 0] > 900000).all()  # zone 33 in coordinates of zone 32
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM rtree_a_geom").fetchone() == (16,)
        assert db.execute("SELECT count(*) FROM layer_styles").fetchone() == (1,)
    assert left_over(tmp_path) == []


def test_append_refuses_what_does_not_fit(tmp_path, frame, info, detections):
    path = tmp_path / "a.gpkg"
    write(path, info, frame, detections(3))
    content = path.read_bytes()
    with pytest.raises(NssaError, match="holds polygons"):
        inspect(path, geometry="point", mode="append")
    with pytest.raises(NssaError, match="the scene has none"):
        inspect(path, crs=None, mode="append")
    with pytest.raises(UsageError, match="own CRS"):
        inspect(path, mode="append", t_crs="EPSG:3857")
    foreign = tmp_path / "foreign.gpkg"
    pyogrio.raw.write(
        foreign,
        shapely.to_wkb([shapely.box(0, 0, 1, 1)]),
        [np.array([1])],
        ["id"],
        layer="foreign",
        driver="GPKG",
        geometry_type="Polygon",
        crs="EPSG:32632",
    )
    with pytest.raises(NssaError, match="lacks the field class"):
        inspect(foreign, mode="append")
    (tmp_path / "text.gpkg").write_text("no database at all, but long enough to be looked at")
    with pytest.raises(NssaError, match="cannot be appended to"):
        inspect(tmp_path / "text.gpkg", mode="append")
    target = inspect(path, mode="append")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE gpkg_geometry_columns SET srs_id = 0")
    with pytest.raises(NssaError, match="changed by another program"):
        write_layer([], target, info)
    assert len(path.read_bytes()) == len(content) and left_over(tmp_path) == []
