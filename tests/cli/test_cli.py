import contextlib
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pyogrio
import pytest
import rasterio
from nssa_gis_cli import console
from nssa_gis_cli.main import COMMANDS, main

from nssa_gis.detect.detector import Detector
from nssa_gis.testing import PlantedDetector, make_package, make_scene

try:
    import pty
except ImportError:  # Windows
    pty = None


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """The planted detector in place of the built-in one; a model named by --model is still loaded."""
    real = Detector.of_options
    (tmp_path / "model").mkdir()
    package = make_package(tmp_path / "model")
    monkeypatch.setattr(
        Detector, "of_options", lambda options: real(options) if options.model else PlantedDetector(package)
    )


@pytest.fixture
def folder(tmp_path, planted):
    work = tmp_path / "work"
    work.mkdir()
    make_scene(work / "town.tif")
    return work


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def fails(capsys, arguments, code=1):
    """Run, expect one line of error; returns it."""
    assert main([str(a) for a in arguments]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning:" not in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("nssa-gis: error: ")
    return lines[0]


def test_detect(folder, capsys):
    assert main(["detect", str(folder / "town.tif"), "-o", str(folder / "cars.gpkg")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{folder / 'cars.gpkg'}: 513 objects (")
    assert err == ""
    assert names(folder) == ["cars.gpkg", "town.tif"]


def test_detect_takes_every_kind_of_option(folder, capsys):
    arguments = ["--classes", "car,boat", "--confidence", "0.6", "--bands", "1,2,3", "--tile", "512", "--overlap", "64"]
    arguments += ["--bounds", "500010,5299900,500100,5299990", "--batch-size", "2", "--workers", "1", "--of", "GeoJSON"]
    arguments += ["--geometry", "point"]
    assert main(["detect", str(folder / "town.tif"), "-o", str(folder / "cars.json"), *arguments]) == 0
    assert 0 < pyogrio.read_info(folder / "cars.json")["features"] < 513


def test_progress_as_json_lines(folder, capsys):
    assert main(["detect", str(folder / "town.tif"), "-o", str(folder / "c.gpkg"), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "done"
    assert events[-1]["objects"] == 513
    assert main(["detect", str(folder / "no.tif"), "-o", str(folder / "d.gpkg"), "--progress=json"]) == 1
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (event["event"], event["exit_code"]) == ("error", 1)


class Terminal:
    """A terminal on standard error that remembers what it showed."""

    def __init__(self, monkeypatch):
        master, slave = pty.openpty()
        self._master, self._file = master, os.fdopen(slave, "w")
        self._shown = bytearray()
        for name, value in (("TERM", "xterm"), ("COLUMNS", "200"), ("LINES", "40")):
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stderr", self._file)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(self._master, 4096):
                self._shown += part

    def text(self):
        """End the terminal; all it showed, without colours and cursor movements."""
        self._file.close()
        self._reader.join()
        os.close(self._master)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._shown.decode())


@pytest.mark.skipif(pty is None, reason="needs a terminal")
@pytest.mark.parametrize("mode", ["bar", "auto"])
def test_bar_shows_all_phases(folder, monkeypatch, mode):
    terminal = Terminal(monkeypatch)
    try:
        code = main(["detect", str(folder / "town.tif"), "-o", str(folder / "c.gpkg"), "--progress", mode])
    finally:
        text = terminal.text()
    assert code == 0
    assert re.search(r"town\.tif: planted", text)
    # 1000 x 700 pixels in tiles of 256 that share 64: 5 columns, 4 rows.
    assert re.search(r"Detecting [━╸╺ ]+ 0/20 tiles", text)
    assert re.search(r"Merging [━╸╺ ]+ 4/4 rows .*513 objects", text)
    assert re.search(r"Writing [━╸╺ ]+ 513/513 objects", text)


def test_no_bar_without_a_terminal(folder, capsys):
    assert main(["detect", str(folder / "town.tif"), "-o", str(folder / "c.gpkg"), "--progress", "auto"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", ["json", "none"])
def test_passwords_are_not_shown(folder, capsys, mode):
    address = "https://me:hidden@127.0.0.1:9/town.tif?token=hidden"
    assert main(["detect", address, "-o", str(folder / "c.gpkg"), "--progress", mode]) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:9/town.tif" in said
    assert "hidden" not in said


@pytest.mark.parametrize("mode", ["json", "bar", "none"])
def test_events_hold_no_password(capsys, mode):
    event = {"event": "start", "scene": "https://me:hidden@h/x.tif", "backend": "b", "tiles": 1, "tiles_done": 0}
    with console.progress(mode) as show:
        show(event)
        show({"event": "warning", "message": "odd: https://me:hidden@h/x.tif"})
        show({"event": "done", "objects": 1, "warnings": ["odd: https://me:hidden@h/x.tif"]})
    said = capsys.readouterr().err
    assert "h/x.tif" in said
    assert "hidden" not in said


def test_tables_hold_no_password(folder, capsys):
    (folder / "town.tif").rename(folder / "town.tif&token=hidden")
    assert main(["batch", str(folder / "town.tif&token=hidden"), "-o", str(folder / "out")]) == 0
    assert main(["info", str(folder / "town.tif&token=hidden")]) == 0
    out, err = capsys.readouterr()
    assert out.count("town.tif&token=***") == 2
    assert "hidden" not in out + err


def test_warnings_are_shown(folder, capsys):
    make_scene(folder / "plain.tif", 100, 100, objects=[], crs=None)
    assert main(["detect", str(folder / "plain.tif"), "-o", str(folder / "c.gpkg")]) == 0
    assert "nssa-gis: warning: the scene has no CRS" in capsys.readouterr().err


def bad_missing(folder):
    return [folder / "no.tif"], "no such file"


def bad_text(folder):
    (folder / "text.tif").write_text("this is no image")
    return [folder / "text.tif"], "text.tif"


def bad_truncated(folder):
    content = (folder / "town.tif").read_bytes()
    (folder / "cut.tif").write_bytes(content[: len(content) // 2])
    return [folder / "cut.tif"], "truncated"


def bad_vector(folder):
    text = '{"type": "Point", "coordinates": [0, 0]}'
    (folder / "v.geojson").write_text(
        f'{{"type": "FeatureCollection", "features": [{{"type": "Feature", "properties": {{}}, "geometry": {text}}}]}}'
    )
    return [folder / "v.geojson"], "vector"


def bad_bands(folder):
    with rasterio.open(folder / "two.tif", "w", driver="GTiff", width=9, height=9, count=2, dtype="uint8") as data:
        data.write(np.ones((2, 9, 9), np.uint8))
    return [folder / "two.tif"], "2 bands"


def bad_complex(folder):
    with rasterio.open(folder / "c.tif", "w", driver="GTiff", width=9, height=9, count=1, dtype="complex64") as data:
        data.write(np.ones((1, 9, 9), np.complex64))
    return [folder / "c.tif"], "complex"


def bad_existing(folder):
    (folder / "out.gpkg").write_text("mine")
    return [folder / "town.tif"], "exists"


def bad_pickle(folder):
    (folder / "m.safetensors").write_bytes(pickle.dumps({"weights": list(range(99))}))
    return [folder / "town.tif", "--model", folder / "m.safetensors"], "not a safetensors file"


def bad_model(folder):
    return [folder / "town.tif", "--model", "unicorns"], "unicorns"


def bad_aoi(folder):
    return [folder / "town.tif", "--aoi", folder / "no.gpkg"], "no such file"


def bad_journal(folder):
    (folder / "out.gpkg.journal").write_bytes(b"rubbish")
    return [folder / "town.tif", "--resume"], "not a journal"


BAD = [v for k, v in sorted(globals().items()) if k.startswith("bad_")]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.__name__)
def test_bad_input_gives_one_line_and_leaves_nothing(folder, capsys, case):
    arguments, words = case(folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    line = fails(capsys, ["detect", *arguments, "-o", folder / "out.gpkg"])
    assert words in line
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_output_that_cannot_be_written(folder, capsys):
    (folder / "file").write_text("")
    for output in (folder / "no" / "out.gpkg", folder / "file" / "out.gpkg"):
        assert "out.gpkg" in fails(capsys, ["detect", folder / "town.tif", "-o", output])
    if os.geteuid():  # root may write anywhere
        (folder / "shut").mkdir(mode=0o500)
        assert "writable" in fails(capsys, ["detect", folder / "town.tif", "-o", folder / "shut" / "out.gpkg"])
    assert names(folder) == ["file", "town.tif"]


def test_one_band_scene_is_fed_three_times(folder, capsys):
    with rasterio.open(folder / "pan.tif", "w", driver="GTiff", width=90, height=90, count=1, dtype="uint8") as data:
        data.write(np.ones((1, 90, 90), np.uint8))
    assert main(["detect", str(folder / "pan.tif"), "-o", str(folder / "out.gpkg")]) == 0
    assert "warning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'SCENE'"),
        (["town.tif"], "Missing option '-o'"),
        (["town.tif", "-o", "a.gpkg", "--confidence", "2"], "--confidence"),
        (["town.tif", "-o", "a.gpkg", "--bounds", "1,2"], "--bounds: should be four numbers"),
        (["town.tif", "-o", "a.gpkg", "--overwrite", "--resume"], "exclude each other"),
        (["town.tif", "-o", "a.gpkg", "--colour", "red"], "--colour"),
        (["town.tif", "-o", "a.gpkg", "--geometry", "circle"], "--geometry"),
        (["town.tif", "-o", "a.xyz"], "a.xyz"),
        (["town.tif", "-o", "a.gpkg", "--classes", "plane"], "it knows car, boat"),
        (["town.tif", "-o", "a.gpkg", "--tile", "200"], "multiple of 64"),
    ],
)
def test_wrong_usage_is_code_2(folder, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    assert words in fails(capsys, ["detect", *arguments], code=2)
    assert names(folder) == ["town.tif"]


def test_unknown_command_and_no_command(capsys):
    assert "dtect" in fails(capsys, ["dtect"], code=2)
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_unexpected_errors_are_one_line_unless_debugging(folder, capsys, monkeypatch):
    monkeypatch.setattr("nssa_gis.detect.run.make_plan", lambda *_: 1 / 0)
    arguments = ["detect", folder / "town.tif", "-o", folder / "a.gpkg"]
    assert "unexpected ZeroDivisionError" in fails(capsys, arguments)
    with pytest.raises(ZeroDivisionError):
        main([*map(str, arguments), "--debug"])


def test_batch(folder, capsys):
    (folder / "bad.tif").write_text("no image")
    assert main(["batch", str(folder), "-o", str(folder / "out")]) == 1
    out = capsys.readouterr().out
    assert "1 of 2 scenes, 513 objects" in out
    assert "unreadable" in out
    assert names(folder / "out") == ["town.gpkg"]
    assert main(["batch", str(folder / "bad.tif"), "-o", str(folder / "out")]) == 3
    assert "no scene found" in fails(capsys, ["batch", folder / "*.jp2", "-o", folder / "out"], code=3)


def test_info_of_a_scene(folder, capsys):
    assert main(["info", str(folder / "town.tif"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["bands"], facts["crs"]) == (1000, 3, "EPSG:32633")
    assert facts["gsd_m"] == pytest.approx([0.25, 0.25], rel=1e-3)
    assert main(["info", str(folder / "town.tif")]) == 0
    assert "EPSG:32633" in capsys.readouterr().out
    assert "no such file" in fails(capsys, ["info", folder / "no.tif"])


def test_info_of_a_model(folder, capsys):
    import torch

    from nssa_gis.runtime.package import ModelInfo, save_package

    info = ModelInfo(name="tiny", version="3", network={}, classes=("car",), gsd=0.2, gsd_range=(0.1, 0.3))
    save_package(folder / "tiny.safetensors", {"w": torch.zeros(2)}, info)
    assert main(["info", str(folder / "tiny.safetensors"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["classes"], facts["gsd"]) == ("tiny", ["car"], 0.2)
    assert main(["info", str(folder / "tiny.safetensors")]) == 0


def test_preview(folder, capsys):
    main(["detect", str(folder / "town.tif"), "-o", str(folder / "cars.gpkg")])
    arguments = [str(folder / "town.tif"), str(folder / "cars.gpkg"), "-o", str(folder / "cars.png"), "--size", "300"]
    assert main(["preview", *arguments]) == 0
    assert (folder / "cars.png").read_bytes().startswith(b"\x89PNG")


def test_doctor(capsys, monkeypatch):
    from nssa_gis.detect import diagnosis

    monkeypatch.setitem(diagnosis._SECTIONS, "model", lambda: iter([("default", "planted")]))
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["vector formats"]["GPKG"] == "writable"
    assert "torch" in facts["libraries"]
    monkeypatch.setitem(diagnosis._SECTIONS, "model", lambda: 1 / 0)
    assert main(["doctor"]) == 1
    assert "problem: model: ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: nssa-gis {command}")
    assert "[default: {}]" not in said
    assert said.count("--debug") == 1


def test_help_of_a_command_loads_no_torch():
    code = (
        "import sys, nssa_gis_cli.main as m\n"
        f"for command in {list(COMMANDS)}:\n    assert m.main([command, '--help']) == 0\n"
        "sys.exit(', '.join({'torch', 'rasterio'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_of_train_begins_with_the_ordinary_case(capsys):
    assert main(["train", "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert shown[1] == "Train a detector on labelled images."
    assert shown[2].startswith("nssa-gis train boats/ -o boats.safetensors --classes boat")
    assert shown[4].startswith("nssa-gis detect ")


def test_help_names_units_and_defaults(capsys):
    main(["detect", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "[default: the model's own threshold; 0<=x<=1]" in text
    assert "for the network. [m/px] [default: the model's; x>0]" in text
    assert "[default: polygon]" in text


def test_start_up_is_light():
    code = (
        "import sys, nssa_gis, nssa_gis_cli.main as m; m.main(['--help']); "
        "sys.exit(any(n in sys.modules for n in ('torch', 'rasterio', 'pydantic', 'numpy', 'rich')))"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - started < 3  # generous: 0.3 s on an idle machine
    assert all(name in done.stdout for name in COMMANDS)


def test_earlier_spellings_are_accepted_and_not_shown(folder, capsys):
    arguments = ["detect", str(folder / "town.tif"), "-o", str(folder / "c.gpkg")]
    assert main([*arguments, "--workers", "1"]) == 0
    assert "'--readers'" in fails(capsys, [*arguments, "--workers", "0"], code=2)
    assert main(["detect", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--readers N" in said
    assert "--workers" not in said


def test_debug_shows_the_log_without_passwords(folder, capsys):
    arguments = ["detect", str(folder / "town.tif"), "-o", str(folder / "c.gpkg"), "--progress", "none"]
    assert main([*arguments, "--debug"]) == 0
    said = capsys.readouterr().err
    for room in ("detect.plan", "detect.run", "detect.tiles", "raster.radiometry", "vector.writer"):
        assert f"nssa_gis.{room}: " in said
    assert main([*arguments, "--overwrite"]) == 0
    assert capsys.readouterr().err == ""
    with console.log_on_stderr(as_json=True):
        logging.getLogger("nssa_gis.detect").debug("reading %s", "https://me:hidden@h/x.tif")
    event = json.loads(capsys.readouterr().err)
    assert event == {"event": "log", "logger": "nssa_gis.detect", "message": "reading https://***@h/x.tif"}


def test_scene_named_like_markup(folder, capsys):
    (folder / "a[").mkdir()
    scene = folder / "a[" / "b].tif"
    (folder / "town.tif").rename(scene)
    assert main(["detect", str(scene), "-o", str(folder / "c.gpkg"), "--progress", "bar"]) == 0


def test_empty_names_and_lists(folder, capsys):
    assert "empty" in fails(capsys, ["detect", folder / "town.tif", "-o", ""], code=2)
    assert "empty" in fails(capsys, ["batch", folder / "town.tif", "-o", ""], code=2)
    arguments = ["detect", folder / "town.tif", "-o", folder / "a.gpkg", "--classes", ","]
    assert "--classes: should be class names" in fails(capsys, arguments, code=2)


def test_info_of_an_unknown_name(capsys):
    assert "neither a file nor a built-in model" in fails(capsys, ["info", "unicorns"])


def test_parts_of_a_fact_have_their_own_lines():
    from nssa_gis_cli.tables import lines

    text = lines({"name": "m", "metrics": {"a": {"recall": 0.5}, "b": 1}, "none": {}})
    assert text.splitlines() == [
        "  name     m",
        "  metrics",
        "    a",
        "      recall  0.5",
        "    b  1",
        "  none     none",
    ]


def test_run_that_does_not_stop_still_says_its_line():
    code = (
        "import os, signal, time, nssa_gis_cli.main as m\n"
        "m._GRACE_SECONDS = 0.1\n"
        "m._on_signals(['--progress=json'])\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(20)\n"
        "except KeyboardInterrupt:\n    time.sleep(20)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert json.loads(done.stderr)["exit_code"] == 130
