"""The bridge to the engine: stand-ins of it for every way to fail, and the real one where it counts."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from plugin_support import Feedback, program

REPOSITORY = Path(__file__).parents[2]
SCENE = REPOSITORY / "sample_data" / "town.tif"

EVENTS = """
    import json, sys
    def say(**event): print(json.dumps(event), file=sys.stderr, flush=True)
"""


def test_progress_and_result(engine, tmp_path):
    path = program(
        tmp_path,
        EVENTS
        + """
    say(event="start", scene="/x/größe.tif", width=10, height=20, tiles=2, tiles_done=1, backend="torch")
    say(event="tile", done=1, total=2, detections=3)
    say(event="warning", message="too coarse")
    say(event="tile", done=2, total=2, detections=5)
    say(event="merge", done=1, total=1, objects=4)
    say(event="done", objects=4, args=sys.argv[1:])
    """,
    )
    feedback, log = Feedback(), tmp_path / "run.log"
    run = engine.Run(feedback, str(log))
    done = run.execute(path, ["detect", "ein bild.tif"])
    assert done["objects"] == run.objects == 4
    assert done["args"] == ["detect", "ein bild.tif", "--progress", "json"]
    assert feedback.percent == sorted(feedback.percent) and feedback.percent[-1] == 100
    assert ("pushWarning", "too coarse") in feedback.said
    assert any("größe.tif" in text for _, text in feedback.said)
    assert any("1 tiles were finished by the interrupted run" in text for _, text in feedback.said)
    assert "exit code 0" in log.read_text(encoding="utf-8")


def test_many_tiles_do_not_flood_the_log(engine, tmp_path):
    run, feedback = engine.Run(Feedback(), ""), Feedback()
    run.feedback = feedback
    for number in range(1, 5001):
        run.take(json.dumps({"event": "tile", "done": number, "total": 5000, "detections": 1}), True)
    assert len(feedback.percent) == 5000, "the bar moves always"
    assert 1 <= len(feedback.said) <= 5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'import sys; print(\'{"event": "error", "message": "no such scene", "exit_code": 1}\', file=sys.stderr); '
            "sys.exit(1)",
            "no such scene",
        ),
        (
            'import sys; print("Segmentation fault", file=sys.stderr); sys.exit(3)',
            "ended with code 3.*Segmentation fault",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9"),
    ],
)
def test_a_failing_engine_gives_one_message(engine, tmp_path, body, message):
    with pytest.raises(engine.EngineError, match=message) as caught:
        engine.Run(Feedback(), str(tmp_path / "run.log")).execute(program(tmp_path, body), [])
    assert "run.log" in str(caught.value)


BATCH = """
    say(event="done", objects=7, scene="a.tif", number=1, scenes=3)
    say(event="error", message="b.tif: not a raster", exit_code=1, scene="b.tif", number=2, scenes=3)
    say(event="done", objects=5, scene="c.tif", number=3, scenes=3)
    sys.exit(1)
"""


def test_a_batch_with_one_bad_scene_has_the_others(engine, tmp_path):
    feedback = Feedback()
    run = engine.Run(feedback, str(tmp_path / "run.log"))
    run.execute(program(tmp_path, EVENTS + BATCH), [])
    assert run.objects == 12
    assert run.failures == ["b.tif: not a raster"]
    assert ("pushWarning", "[2/3] b.tif: not a raster") in feedback.said


@pytest.mark.parametrize("code", [1, 3])
def test_a_batch_without_one_good_scene_fails(engine, tmp_path, code):
    body = f"""
    for n in (1, 2):
        say(event="error", message=f"{{n}}.tif: not a raster", exit_code=1, scene="x", number=n, scenes=2)
    sys.exit({code})
    """
    with pytest.raises(engine.EngineError, match=r"None of the scenes.*2 failed.*1\.tif: not a raster"):
        engine.Run(Feedback(), str(tmp_path / "run.log")).execute(program(tmp_path, EVENTS + body), [])


def cancel_soon(feedback, seconds=0.5):
    threading.Timer(seconds, lambda: setattr(feedback, "cancelled", True)).start()


def test_cancel_is_polite_first(engine, tmp_path):
    """The engine is asked through its standard input, and its last message is shown."""
    path = program(
        tmp_path,
        EVENTS
        + """
    import os
    assert os.environ["NSSA_GIS_STOP"] == "stdin"
    while os.read(0, 1): pass
    say(event="error", message="interrupted; rows are kept", exit_code=130)
    sys.exit(130)
    """,
    )
    feedback = Feedback()
    cancel_soon(feedback)
    started = time.monotonic()
    run = engine.Run(feedback, str(tmp_path / "run.log"))
    with pytest.raises(engine.Cancelled):
        run.execute(path, [])
    assert time.monotonic() - started < 6
    assert run.error == "interrupted; rows are kept" and run.done is None


def test_cancel_is_hard_in_the_end(engine, process, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_GRACE", 0.5)
    path = program(tmp_path, "import time\ntime.sleep(60)")
    feedback = Feedback()
    cancel_soon(feedback)
    started = time.monotonic()
    with pytest.raises(engine.Cancelled):
        engine.Run(feedback, str(tmp_path / "run.log")).execute(path, [])
    assert time.monotonic() - started < 10


@pytest.mark.skipif(sys.platform == "win32", reason="sh and process groups are of POSIX")
@pytest.mark.parametrize("background", ["", "&"], ids=["waiting wrapper", "wrapper that ends"])
def test_cancel_ends_what_a_wrapper_script_started(process, tmp_path, monkeypatch, background):
    monkeypatch.setattr(process, "_GRACE", 0.5)
    monkeypatch.setattr(process, "_DRAIN", 0.5)
    stubborn = tmp_path / "stubborn.py"
    pid = tmp_path / "pid"
    stubborn.write_text(
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(pid)!r} + '.part', 'w').write(str(os.getpid())); os.rename({str(pid)!r} + '.part', {str(pid)!r})\n"
        "time.sleep(120)\n"
    )
    wrapper = tmp_path / "nssa-gis"
    wrapper.write_text(f"#!/bin/sh\n{sys.executable} {stubborn} {background}\ntrue\n")
    wrapper.chmod(0o755)
    started = time.monotonic()
    lines = []
    if background:  # not cancelled: the program has ended, so its output is not waited for
        assert process.run([wrapper], lambda *line: lines.append(line), lambda: False) == 0
        while not pid.exists():
            time.sleep(0.05)
        os.kill(int(pid.read_text()), signal.SIGKILL)
    else:
        with pytest.raises(process.Cancelled):
            process.run([wrapper], lambda *line: lines.append(line), pid.exists, stop_channel=True)
        assert gone(int(pid.read_text()))
    assert time.monotonic() - started < 20


def gone(pid):
    """Whether a process ends within a few seconds; one that ended and was not waited for by its parent counts."""
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (OSError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_other_programs_than_the_engine_are_stopped_by_ctrl_c(process, tmp_path):
    ready = tmp_path / "ready"
    body = f"""
    import time
    try:
        open({str(ready)!r}, "w").close()
        time.sleep(60)
    except KeyboardInterrupt:
        open({str(tmp_path / "heard")!r}, "w").close()
    """
    with pytest.raises(process.Cancelled):
        process.run([program(tmp_path, body)], print, ready.exists)
    assert (tmp_path / "heard").exists()


def detect(output, **variables):
    """Start the real engine on small tiles; its standard input is ours."""
    command = [sys.executable, "-m", "nssa_gis_cli.main", "detect", str(SCENE), "-o", str(output)]
    command += ["--tile", "256", "--overlap", "64", "--threads", "1", "--batch-size", "1", "--progress", "json"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, env={**os.environ, **variables}, **pipes)


def first_tile(engine):
    for line in engine.stderr:
        if json.loads(line)["event"] == "tile":
            return
    raise AssertionError("it ended before its first tile")


@pytest.mark.slow
def test_the_real_engine_stops_when_its_standard_input_is_closed(tmp_path):
    running = detect(tmp_path / "a.gpkg", NSSA_GIS_STOP="stdin")
    first_tile(running)
    closed = time.monotonic()
    running.stdin.close()
    events = [json.loads(line) for line in running.stderr]
    assert running.wait(timeout=60) == 130
    assert time.monotonic() - closed < 20
    assert events[-1]["event"] == "error" and "interrupted" in events[-1]["message"]
    assert not (tmp_path / "a.gpkg").exists()
    running.stderr.close()


@pytest.mark.slow
def test_the_real_engine_ignores_its_standard_input_unless_asked(tmp_path):
    """``nssa-gis detect ... < /dev/null`` in a script runs to its end."""
    running = detect(tmp_path / "a.gpkg")
    running.stdin.close()
    first_tile(running)
    running.kill()
    running.wait()
    running.stderr.close()


def test_the_environment_is_cleaned(process, tmp_path, monkeypatch):
    unwanted = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "PIP_TARGET", "PIP_USER")
    for name in (*unwanted, "PROJ_LIB", "GDAL_DATA", "QT_PLUGIN_PATH", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    kept = process.clean_environment({"EXTRA": "1"})
    assert not [name for name in kept if kept[name] == "/nowhere"]
    assert kept["HTTPS_PROXY"] == "http://proxy" and kept["EXTRA"] == "1"
    # and the real engine starts in it
    done = subprocess.run(
        [sys.executable, "-m", "nssa_gis_cli.main", "--version"], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_where_the_engine_is_looked_for(engine, tmp_path, monkeypatch):
    monkeypatch.delenv("NSSA_GIS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(engine.EngineError, match="Install or update the engine"):
        engine.find_engine("", None)
    places = {name: tmp_path / name for name in ("setting", "variable", "managed")}
    on_path = tmp_path / "nssa-gis"
    for path in (*places.values(), on_path):
        path.write_text("")
        path.chmod(0o755)
    assert engine.find_engine("", None) == (str(on_path), "PATH")
    assert engine.find_engine("", str(places["managed"]))[0] == str(places["managed"])
    monkeypatch.setenv("NSSA_GIS", str(places["variable"]))
    assert engine.find_engine("", str(places["managed"]))[0] == str(places["variable"])
    assert engine.find_engine(str(places["setting"]), None)[0] == str(places["setting"])
    with pytest.raises(engine.EngineError, match="does not exist"):
        engine.find_engine(str(tmp_path / "gone"), None)


@pytest.mark.parametrize(
    ("text", "hidden", "left"),
    [
        ("/vsicurl/https://me:se:cr@et@host.org/a.tif", "se:cr@et", "host.org/a.tif"),
        ("PG:dbname='x' user=me password='se cret' schema='s'", "se cret", "schema='s'"),
        ("PG:dbname=x password=secret1 table=t", "secret1", "table=t"),
        ("https://host.org/wms?access_token=abc123&layers=a", "abc123", "&layers=a"),
        (r'{"scene": "PG:password=\"se cret\" table=t"}', "se cret", "table=t"),
    ],
)
def test_passwords_are_masked(engine, text, hidden, left):
    masked = importlib.import_module("nssa_gis_qgis.masking").masked(text)
    assert hidden not in masked and left in masked


def test_ordinary_texts_are_not_masked(engine):
    masked = importlib.import_module("nssa_gis_qgis.masking").masked
    for text in ("/a@b/c.tif", "https://host.org/a@2x.tif", "C:\\x\\y.tif --design=3", "gsd=0.25, config=a"):
        assert masked(text) == text


def test_neither_the_dialog_nor_the_log_shows_a_password(engine, tmp_path):
    body = """
    print(sys.argv[2], file=sys.stderr)
    say(event="error", message=f"cannot open {sys.argv[2]}", exit_code=1)
    sys.exit(1)
    """
    feedback, log = Feedback(), tmp_path / "run.log"
    with pytest.raises(engine.EngineError) as caught:
        engine.Run(feedback, str(log)).execute(
            program(tmp_path, EVENTS + body), ["detect", "https://me:hush@host.org/a.tif"]
        )
    said = f"{feedback.said}{caught.value}{log.read_text(encoding='utf-8')}"
    assert "host.org/a.tif" in said and "hush" not in said
