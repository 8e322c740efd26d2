"""The files of the plugin, without QGIS: imports against stand-ins, metadata, texts, archive, scanners."""

import ast
import configparser
import importlib
import json
import subprocess
import sys
import zipfile

import pytest
from plugin_support import PLUGIN, SOURCES, module_of


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


def test_the_archive_holds_nothing_hidden(tmp_path, monkeypatch):
    import build_zip

    copy = tmp_path / "nssa_gis_qgis"
    for name in ("a.py", ".DS_Store", ".idea/b.py", "__pycache__/a.pyc"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("")
    monkeypatch.setattr(build_zip, "PLUGIN", copy)
    assert build_zip.files() == [copy / "a.py"]
    (copy / "a.exe").write_text("")
    with pytest.raises(SystemExit, match=r"a\.exe"):
        build_zip.files()


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
