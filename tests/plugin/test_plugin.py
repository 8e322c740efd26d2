"""The QGIS plugin without QGIS: its files, its bridge to the engine, its imports against stand-ins of QGIS."""

import ast
import configparser
import importlib
import json
import subprocess
import sys
import textwrap
import threading
import time
import types
import zipfile
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2] / "qgis_plugin"
PLUGIN = ROOT / "nssa_gis_qgis"
SOURCES = sorted(PLUGIN.rglob("*.py"))
sys.path.insert(0, str(ROOT))


class _StandIn(types.ModuleType):
    """A module of QGIS in which every name is a class that takes anything."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__init__": lambda self, *a, **k: None})
        setattr(self, name, made)
        return made


@pytest.fixture
def stand_ins(monkeypatch):
    for name in ("qgis", "qgis.core", "qgis.PyQt", "qgis.PyQt.QtCore", "qgis.PyQt.QtGui", "qgis.PyQt.QtWidgets"):
        monkeypatch.setitem(sys.modules, name, _StandIn(name))
    for name in [n for n in sys.modules if n.startswith("nssa_gis_qgis")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [n for n in sys.modules if n.startswith("nssa_gis_qgis")]:
        del sys.modules[name]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_imports_against_stand_ins(path, stand_ins):
    importlib.import_module(module_of(path))


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_is_python_39_and_imports_nothing_foreign(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    allowed = set(sys.stdlib_module_names) | {"qgis", "processing"}
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        for name in names:
            assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
        assert not isinstance(node, ast.Match), "match statements came with 3.10"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("Popen", "run", "call", "check_output"):
            assert not [k for k in node.keywords if k.arg == "shell"]


def test_only_the_plugin_itself_touches_the_window_system():
    for path in SOURCES:
        if path.name != "plugin.py":
            assert "QtWidgets" not in path.read_text(encoding="utf-8"), f"{path.name} would fail in qgis_process"


def test_metadata_is_complete():
    meta = configparser.ConfigParser(interpolation=None)
    meta.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = meta["general"]
    needed = ("name", "description", "about", "version", "author", "email", "repository", "tracker", "homepage", "icon")
    assert all(general.get(key) for key in needed)
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert (PLUGIN / general["icon"]).is_file()
    assert "GNU GENERAL PUBLIC LICENSE" in (PLUGIN / "LICENSE").read_text()


def test_the_options_table_is_up_to_date():
    from generate_options import text

    assert (PLUGIN / "options.json").read_text() == text(), "run python qgis_plugin/generate_options.py"


def test_the_german_texts_are_complete_and_up_to_date():
    from german import GERMAN
    from translations import sources, ts

    assert set(GERMAN) == set(sources())
    assert (PLUGIN / "i18n" / "nssa_gis_de.ts").read_text(encoding="utf-8") == ts("de", GERMAN)
    for source, german in GERMAN.items():
        assert source.count("{}") == german.count("{}"), source


def test_the_archive_is_small_and_repeatable(tmp_path):
    from build_zip import LIMIT, build

    size = build(tmp_path / "a.zip")
    build(tmp_path / "b.zip")
    assert size < LIMIT
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert {"nssa_gis_qgis/metadata.txt", "nssa_gis_qgis/LICENSE", "nssa_gis_qgis/__init__.py"} <= set(names)
    assert all(name.startswith("nssa_gis_qgis/") for name in names)


@pytest.fixture
def engine(stand_ins):
    return importlib.import_module("nssa_gis_qgis.engine")


class Feedback:
    def __init__(self):
        self.percent, self.said, self.cancelled = [], [], False

    def isCanceled(self):
        return self.cancelled

    def setProgress(self, value):
        self.percent.append(value)

    def __getattr__(self, name):
        return lambda text: self.said.append((name, text))


def program(tmp_path, body):
    """An executable stand-in for the engine."""
    path = tmp_path / "a folder with ü" / "nssa-gis"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(body), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_progress_and_result(engine, tmp_path):
    path = program(
        tmp_path,
        """
        import json, sys
        def say(**event): print(json.dumps(event), file=sys.stderr, flush=True)
        say(event="start", scene="/x/größe.tif", width=10, height=20, tiles=2, backend="torch")
        say(event="tile", done=1, total=2, detections=3)
        say(event="warning", message="too coarse")
        say(event="tile", done=2, total=2, detections=5)
        say(event="merge", done=1, total=1, objects=4)
        say(event="done", objects=4, args=sys.argv[1:])
        """,
    )
    feedback, log = Feedback(), tmp_path / "run.log"
    done = engine.Run(feedback, str(log)).execute(path, ["detect", "ein bild.tif"])
    assert done["objects"] == 4
    assert done["args"] == ["detect", "ein bild.tif", "--progress", "json"]
    assert feedback.percent == sorted(feedback.percent) and feedback.percent[-1] == 100
    assert ("pushWarning", "too coarse") in feedback.said
    assert any("größe.tif" in text for _, text in feedback.said)
    assert "exit code 0" in log.read_text(encoding="utf-8")


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


def cancel_soon(feedback, seconds=0.5):
    threading.Timer(seconds, lambda: setattr(feedback, "cancelled", True)).start()


def test_cancel_is_polite_first(engine, tmp_path):
    path = program(
        tmp_path,
        f"""
        import signal, sys, time
        signal.signal(signal.SIGINT, lambda *a: (open({str(tmp_path / "kept")!r}, "w").close(), sys.exit(130)))
        time.sleep(60)
        """,
    )
    feedback = Feedback()
    cancel_soon(feedback, 1.0)
    started = time.monotonic()
    with pytest.raises(engine.Cancelled):
        engine.Run(feedback, str(tmp_path / "run.log")).execute(path, [])
    assert time.monotonic() - started < 6
    assert (tmp_path / "kept").exists(), "the engine could close its journal"


def test_cancel_is_hard_in_the_end(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_GRACE", 0.5)
    path = program(tmp_path, "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)")
    feedback = Feedback()
    cancel_soon(feedback, 1.0)
    with pytest.raises(engine.Cancelled):
        engine.Run(feedback, str(tmp_path / "run.log")).execute(path, [])


def test_the_environment_is_cleaned(engine, tmp_path, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA", "QT_PLUGIN_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    kept = engine.clean_environment({"EXTRA": "1"})
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
    with pytest.raises(engine.EngineError, match="not there"):
        engine.find_engine(str(tmp_path / "gone"), None)


def test_an_installation_is_verified_and_replaces_the_former_one(stand_ins, tmp_path, monkeypatch):
    """With a stand-in package, offline: pip installs a tiny project that has an ``nssa-gis`` command."""
    installation = importlib.import_module("nssa_gis_qgis.installation")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (project / "backend.py").write_text(
        textwrap.dedent(
            """
            import zipfile
            def build_wheel(folder, config_settings=None, metadata_directory=None):
                name = "tiny-1-py3-none-any.whl"
                info = "tiny-1.dist-info/"
                with zipfile.ZipFile(folder + "/" + name, "w") as z:
                    z.writestr("tiny.py", open("tiny.py").read())
                    z.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
                    z.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                    z.writestr(info + "entry_points.txt", "[console_scripts]\\nnssa-gis = tiny:main\\n")
                    z.writestr(info + "RECORD", "")
                return name
            """
        )
    )
    (project / "tiny.py").write_text('def main():\n    print(\'{"versions": {}, "problems": []}\')\n')
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    place = installation.Installation(str(tmp_path / "profile" / "nssa_gis"))
    assert place.executable is None
    facts = place.install(str(project), sys.executable, "cpu", str(wheels), {}, Feedback())
    assert facts["problems"] == []
    first = place.executable
    assert first and Path(first).is_file()
    # a broken one is refused and the former one stays
    (project / "tiny.py").write_text('def main():\n    print(\'{"problems": ["no torch"]}\')\n')
    monkeypatch.setattr(installation.time, "strftime", lambda form: "engine-later")
    with pytest.raises(installation.EngineError, match="no torch"):
        place.install(str(project), sys.executable, "cpu", str(wheels), {}, Feedback())
    assert place.executable == first
    assert [p.name for p in Path(place.folder).iterdir() if p.is_dir()] == [Path(first).parents[1].name]
    assert place.uninstall()
    assert place.executable is None and not [p for p in Path(place.folder).iterdir()]


def test_an_unsuitable_python_is_told(stand_ins, tmp_path):
    installation = importlib.import_module("nssa_gis_qgis.installation")
    old = program(tmp_path, "print('3.8')")
    with pytest.raises(installation.EngineError, match=r"is Python 3\.8; the engine needs 3\.10 to 3\.13"):
        installation.python_version(old, Feedback())
    bare = program(tmp_path, "raise ModuleNotFoundError('ensurepip')")
    with pytest.raises(installation.EngineError, match=r"cannot make an environment.*ensurepip"):
        installation.python_version(bare, Feedback())


def test_proxies_of_qgis_are_passed_on(stand_ins):
    settings = importlib.import_module("nssa_gis_qgis.settings")
    values = {
        "proxy/proxyEnabled": "true",
        "proxy/proxyType": "HttpProxy",
        "proxy/proxyHost": "proxy.example",
        "proxy/proxyPort": "3128",
    }
    with mock.patch.object(settings, "QgsSettings", lambda: mock.Mock(value=lambda k, d=None: values.get(k, d))):
        assert settings.proxies()["HTTPS_PROXY"] == "http://proxy.example:3128"
        values["proxy/proxyEnabled"] = "false"
        assert settings.proxies() == {}


@pytest.mark.parametrize("tool", ["bandit", "detect-secrets"])
def test_the_scanners_of_the_plugin_site_find_nothing(tool):
    """plugins.qgis.org refuses uploads with findings; detect-secrets tells them in its output only."""
    pytest.importorskip(tool.replace("-", "_"))
    if tool == "bandit":
        command = [sys.executable, "-m", "bandit", "-q", "-f", "json", "-r", str(PLUGIN)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert json.loads(done.stdout)["results"] == []
    else:
        command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "."]
        done = subprocess.run(command, cwd=PLUGIN, capture_output=True, text=True, check=False)
        assert json.loads(done.stdout)["results"] == {}
