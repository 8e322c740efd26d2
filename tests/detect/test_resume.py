import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyogrio
import pytest
import rasterio

from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError
from nssa_gis.testing import DRIVER, PlantedBackend, PlantedDetector, make_package, make_scene

TILING = {"tile": 128, "overlap": 64}


def records(path):
    meta, _, geometry, fields = pyogrio.raw.read(path, layer=Path(path).stem)
    return [geometry.tolist(), *[(name, f.tolist()) for name, f in zip(meta["fields"], fields, strict=True)]]


def left(folder):
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(("out.", ".out.")))


def start(folder, *arguments, delay=0.02):
    command = [sys.executable, *DRIVER, str(folder), str(delay), "detect", str(folder / "town.tif")]
    command += ["-o", str(folder / "out.gpkg"), "--tile", "128", "--overlap", "64", "--progress", "json", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process, timeout=60):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, [json.loads(line) for line in err.splitlines()]


def wait_for(process, done):
    """Read events until so many tiles are done."""
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "tile" and event["done"] >= done:
            return
    raise AssertionError("the run ended too soon")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    make_scene(folder / "town.tif")
    package = make_package(folder)
    detect_scene(PlantedDetector(package), folder / "town.tif", folder / "out.gpkg", DetectOptions.parse(TILING))
    return folder


@pytest.fixture
def folder(tmp_path, reference):
    shutil.copy2(reference / "town.tif", tmp_path)
    make_package(tmp_path)
    return tmp_path


def expected(reference):
    return records(reference / "out.gpkg")


class Stops(Exception):
    pass


class StoppingBackend(PlantedBackend):
    def __init__(self, after, error=Stops):
        super().__init__()
        self.after, self.error = after, error

    def predict(self, batch, score_threshold):
        if self.tiles >= self.after:
            raise self.error
        return super().predict(batch, score_threshold)


def here(folder, backend, **options):
    detector = PlantedDetector(make_package(folder), backend)
    return detect_scene(detector, folder / "town.tif", folder / "out.gpkg", DetectOptions.parse({**TILING, **options}))


@pytest.mark.parametrize("after", [1, 40, 77, 120, 147])
@pytest.mark.parametrize("error", [Stops, KeyboardInterrupt])
@pytest.mark.slow
def test_resumed_layer_is_the_same(folder, reference, after, error):
    with pytest.raises(error):
        here(folder, StoppingBackend(after, error))
    finished = after >= 15  # the first row of tiles
    assert left(folder) == (["out.gpkg.journal"] if finished else [])
    backend = PlantedBackend()
    result = here(folder, backend, resume=True, readers=1, batch_size=3)
    assert records(folder / "out.gpkg") == expected(reference)
    assert left(folder) == ["out.gpkg"]
    assert backend.tiles + result.tiles_resumed == result.tiles
    assert (result.tiles_resumed > 0) == finished


def test_error_while_writing_keeps_the_journal(folder, reference, monkeypatch):
    from nssa_gis.vector import formats

    with monkeypatch.context() as patch:
        patch.setattr(formats, "check_rows", lambda *_: (_ for _ in ()).throw(NssaError("disk full")))
        with pytest.raises(NssaError, match="disk full"):
            here(folder, PlantedBackend())
    assert "out.gpkg.journal" in left(folder)
    backend = PlantedBackend()
    here(folder, backend, resume=True)
    assert backend.tiles == 0
    assert records(folder / "out.gpkg") == expected(reference)


def test_old_journal_is_pointed_at_and_can_be_dropped(folder, reference):
    with pytest.raises(Stops):
        here(folder, StoppingBackend(60))
    with pytest.raises(NssaError, match=r"continue it with --resume, or start afresh with --overwrite"):
        here(folder, PlantedBackend())
    backend = PlantedBackend()
    result = here(folder, backend, overwrite=True)
    assert backend.tiles == result.tiles
    assert records(folder / "out.gpkg") == expected(reference)
    assert left(folder) == ["out.gpkg"]


def test_other_inputs_are_refused(folder):
    with pytest.raises(Stops):
        here(folder, StoppingBackend(60))
    with pytest.raises(NssaError, match=r"confidence \(then unset, now 0.6\)"):
        here(folder, PlantedBackend(), resume=True, confidence=0.6)
    make_scene(folder / "town.tif", objects=[(3, 3, 9, 9, 0)])
    with pytest.raises(NssaError, match="changed"):
        here(folder, PlantedBackend(), resume=True)
    assert left(folder) == ["out.gpkg.journal"]


def test_nothing_to_resume_is_said(folder, reference):
    result = here(folder, PlantedBackend(), resume=True)
    assert any("nothing to resume" in w for w in result.warnings)
    assert records(folder / "out.gpkg") == expected(reference)


def test_interrupted_overwrite_keeps_the_old_layer_until_the_end(folder, reference):
    here(folder, PlantedBackend(), confidence=0.8)
    old = records(folder / "out.gpkg")
    with pytest.raises(Stops):
        here(folder, StoppingBackend(60), overwrite=True)
    assert records(folder / "out.gpkg") == old
    here(folder, PlantedBackend(), resume=True)
    assert records(folder / "out.gpkg") == expected(reference)


def test_interrupted_append_is_resumed_once(folder, reference):
    here(folder, PlantedBackend())
    count = pyogrio.read_info(folder / "out.gpkg", layer="out")["features"]
    with pytest.raises(Stops):
        here(folder, StoppingBackend(60), append=True)
    journal = (folder / "out.gpkg.journal").read_bytes()
    here(folder, PlantedBackend(), resume=True)
    assert pyogrio.read_info(folder / "out.gpkg", layer="out")["features"] == 2 * count
    # Killed between the commit and the journal's removal: appending again would double the rows.
    (folder / "out.gpkg.journal").write_bytes(journal)
    with pytest.raises(NssaError, match="the layer changed"):
        here(folder, PlantedBackend(), resume=True)


def test_read_error_in_the_middle_loses_nothing(folder):
    scene = folder / "town.tif"
    make_scene(scene, compress="deflate", blockysize=16)
    broken = bytearray(scene.read_bytes())
    with rasterio.open(scene) as data:
        offset = int(data.get_tag_item("BLOCK_OFFSET_0_40", "TIFF", bidx=1))
    broken[offset : offset + 40] = bytes(40)
    scene.write_bytes(broken)
    with pytest.raises(NssaError, match=r"town.tif.*cannot be read.*go on with --resume"):
        here(folder, PlantedBackend())
    assert left(folder) == ["out.gpkg.journal"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.slow
def test_killed_run_resumes_to_the_same_layer(folder, reference, share):
    process = start(folder)
    wait_for(process, int(share * 150))
    process.kill()
    finish(process)
    assert "out.gpkg" not in left(folder)
    assert "out.gpkg.journal" in left(folder)
    code, out, events = finish(start(folder, "--resume", delay=0))
    assert code == 0, events
    assert "objects" in out
    assert events[0]["tiles_done"] > 0
    assert records(folder / "out.gpkg") == expected(reference)
    assert left(folder) == ["out.gpkg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_stopped_run_ends_soon_and_can_be_resumed(folder, reference, number):
    process = start(folder, delay=0.2)
    wait_for(process, 40)
    asked = time.monotonic()
    process.send_signal(number)
    code, _, events = finish(process)
    assert time.monotonic() - asked < 3
    assert code == 130
    assert events[-1] == {
        "event": "error",
        "message": f"interrupted: {folder / 'out.gpkg'}; finished tile rows are kept, go on with --resume",
        "exit_code": 130,
    }
    assert left(folder) == ["out.gpkg.journal"]
    assert finish(start(folder, "--resume", delay=0))[0] == 0
    assert records(folder / "out.gpkg") == expected(reference)


@pytest.mark.slow
def test_two_runs_on_one_output(folder):
    first = start(folder, delay=0.2)
    wait_for(first, 4)
    code, _, events = finish(start(folder))
    assert code == 1
    assert "another run is writing this output" in events[-1]["message"]
    first.kill()
    finish(first)


def test_another_spelling_of_the_inputs_is_no_other_run(folder, monkeypatch):
    area = {"type": "Polygon", "coordinates": [[[0, 0], [9e5, 0], [9e5, 9e6], [0, 9e6], [0, 0]]]}
    feature = {"type": "Feature", "properties": {}, "geometry": area}
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    text = json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]})
    (folder / "zone.geojson").write_text(text)
    with pytest.raises(Stops):
        here(folder, StoppingBackend(60), aoi=str(folder / "zone.geojson"))
    monkeypatch.chdir(folder)
    assert here(folder, PlantedBackend(), resume=True, aoi="zone.geojson").tiles_resumed > 0


def test_finished_run_is_not_resumed(folder):
    here(folder, PlantedBackend())
    with pytest.raises(NssaError, match=r"nothing to resume: .*out\.gpkg has no journal, so it is complete"):
        here(folder, PlantedBackend(), resume=True)
