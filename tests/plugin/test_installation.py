"""Installing the engine: offline, with a stand-in package; finding Python; the proxy; what is kept in the profile."""

import importlib
import json
import os
import re
import shutil
import sys
import textwrap
import time
from pathlib import Path
from unittest import mock

import pytest
from plugin_support import Feedback, program

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def installation(fresh_modules):
    return importlib.import_module("nssa_gis_qgis.installation")


@pytest.fixture
def pythons(fresh_modules):
    return importlib.import_module("nssa_gis_qgis.pythons")


@pytest.fixture
def storage(fresh_modules):
    return importlib.import_module("nssa_gis_qgis.storage")


@pytest.mark.slow
def test_an_installation_is_verified_and_replaces_the_former_one(installation, tmp_path, monkeypatch):
    """With a stand-in package, offline: pip installs a tiny project that has an ``nssa-gis`` command."""
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
    monkeypatch.setattr(installation.time, "strftime", lambda form: "env-later")
    with pytest.raises(installation.EngineError, match="no torch"):
        place.install(str(project), sys.executable, "cpu", str(wheels), {}, Feedback())
    assert place.executable == first
    assert [p.name for p in Path(place.folder).iterdir() if p.is_dir()] == [Path(first).parents[1].name]
    assert place.uninstall()
    assert place.executable is None and not [p for p in Path(place.folder).iterdir()]


def made_by_hand(installation, folder, *names):
    """Environments as `install` leaves them, without pip."""
    for name in names:
        executable = Path(installation._executable(str(folder / name)))
        executable.parent.mkdir(parents=True)
        executable.write_text("")
    (folder / "current.json").write_text(json.dumps({"environment": names[-1]}))
    return installation.Installation(str(folder))


def test_an_engine_in_use_is_not_removed(installation, tmp_path):
    place = made_by_hand(installation, tmp_path, "env-1", "env-2")
    old = installation._executable(str(tmp_path / "env-1"))
    with place.in_use(old):
        place._remove_others(str(tmp_path / "env-2"))
        assert Path(old).exists(), "a run uses it"
        with pytest.raises(installation.EngineError, match="in use"):
            place.uninstall()
        assert place.executable
    place._remove_others(str(tmp_path / "env-2"))
    assert not Path(old).exists()
    assert place.uninstall()


def test_a_crashed_run_does_not_hold_its_engine_for_ever(installation, tmp_path):
    place = made_by_hand(installation, tmp_path, "env-1")
    mark = tmp_path / "env-1" / "in-use-1-1"
    mark.write_text("")
    with pytest.raises(installation.EngineError, match="in use"):
        place.uninstall()
    os.utime(mark, (time.time() - 3600,) * 2)
    assert place.uninstall()


def test_an_engine_of_someone_else_is_not_marked(installation, tmp_path):
    place = made_by_hand(installation, tmp_path / "ours", "env-1")
    other = tmp_path / "bin" / "nssa-gis"
    other.parent.mkdir()
    with place.in_use(str(other)):
        assert not list(other.parent.iterdir())


def test_the_heart_beats(installation, tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "_BEAT", 0.05)
    place = made_by_hand(installation, tmp_path, "env-1")
    with place.in_use(place.executable):
        (mark,) = (tmp_path / "env-1").glob("in-use-*")
        os.utime(mark, (1, 1))
        time.sleep(0.5)
        assert mark.stat().st_mtime > 1
    assert not mark.exists()


def test_pytorch_comes_from_its_own_index_first(installation):
    (torch, ticks), (package, _) = installation.pip_commands("python", "nssa-gis", "cuda", "")
    assert torch[-3:-1] == ["--index-url", installation.INDEXES["cuda"]] and torch[-1].startswith("torch>=")
    assert package[-1] == "nssa-gis" and "--index-url" not in package
    assert ticks == (10, 70)
    assert len(installation.pip_commands("python", "nssa-gis", "default", "")) == 1
    ((offline, _),) = installation.pip_commands("python", "nssa-gis", "cuda", "/wheels")
    assert "--no-index" in offline


def test_pytorchs_versions_are_those_of_the_engine(installation):
    wanted = re.search(r'"(torch>=[^"]*)"', (REPOSITORY / "pyproject.toml").read_text())
    assert installation._TORCH == wanted.group(1)


def test_a_cuda_engine_without_a_device_is_told(installation):
    assert installation.sees_cuda({"machine": {"cuda:0": "NVIDIA, 8 GiB"}, "problems": []})
    assert not installation.sees_cuda({"machine": {"cuda": "this torch is built without CUDA"}, "problems": []})


def test_an_unsuitable_python_is_told(pythons, tmp_path):
    old = program(tmp_path, "print('3.8')")
    with pytest.raises(pythons.EngineError, match=r"is Python 3\.8; the engine needs 3\.10 to 3\.13"):
        pythons.python_version(old, Feedback())
    bare = program(tmp_path, "raise ModuleNotFoundError('ensurepip')")
    with pytest.raises(pythons.EngineError, match=r"cannot make an environment.*ensurepip"):
        pythons.python_version(bare, Feedback())


def test_python_is_found_on_the_path_and_in_condas_folders(pythons, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CONDA_PREFIX", "")
    inner = tmp_path / "home" / "miniforge3" / "envs" / "gis" / "bin" / "python"
    inner.parent.mkdir(parents=True)
    shutil.copy(program(tmp_path, "print('3.12')"), inner)
    assert pythons.find_python(Feedback()) == str(inner)
    on_path = tmp_path / "python3.11"
    shutil.copy(inner, on_path)
    assert pythons.find_python(Feedback()) == str(on_path), "what the user's terminal would take comes first"


def test_python_is_found_by_the_launcher_of_windows(pythons, tmp_path, monkeypatch):
    monkeypatch.setattr(pythons, "_WINDOWS", True)
    found = tmp_path / "python.exe"
    launcher = tmp_path / "py"
    launcher.write_text(f'#!/bin/sh\ntest "$1" = -3.12 && echo {found}\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert str(found) in list(pythons.candidates(Feedback()))


def test_the_places_of_homebrew_and_python_org(pythons, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    places = list(pythons.candidates(Feedback()))
    assert "/opt/homebrew/bin/python3.12" in places
    assert "/Library/Frameworks/Python.framework/Versions/3.12/bin/python3" in places


@pytest.fixture
def proxy(stand_ins):
    """QGIS' settings of a proxy, to be changed by the test, and what the plugin makes of them."""
    settings = importlib.import_module("nssa_gis_qgis.settings")
    values = {
        "proxy/proxyEnabled": "true",
        "proxy/proxyType": "HttpProxy",
        "proxy/proxyHost": "proxy.example",
        "proxy/proxyPort": "3128",
    }
    with mock.patch.object(settings, "QgsSettings", lambda: mock.Mock(value=lambda k, d=None: values.get(k, d))):
        yield values, settings.proxies


def test_proxies_of_qgis_are_passed_on(proxy):
    values, proxies = proxy
    assert proxies(Feedback())["HTTPS_PROXY"] == "http://proxy.example:3128"
    values["proxy/proxyEnabled"] = "false"
    assert proxies(Feedback()) == {}


def test_a_nasty_password_of_the_proxy_arrives_whole_and_is_not_shown(proxy):
    from urllib.parse import unquote, urlsplit

    values, proxies = proxy
    word = "p@ss:w/rd#?% ü"
    values.update({"proxy/proxyUser": "me@home", "proxy/proxyPassword": word})
    feedback = Feedback()
    address = urlsplit(proxies(feedback)["HTTPS_PROXY"])
    assert (unquote(address.username), unquote(address.password)) == ("me@home", word)
    assert (address.hostname, address.port) == ("proxy.example", 3128)
    assert feedback.said == []
    masked = importlib.import_module("nssa_gis_qgis.masking").masked(address.geturl())
    assert masked == "http://***@proxy.example:3128"


def test_a_proxy_that_pip_cannot_use_is_warned_of(proxy):
    values, proxies = proxy
    feedback = Feedback()
    assert proxies(feedback) and not feedback.said
    values["proxy/authcfg"] = "abc1234"
    assert proxies(feedback)["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert "authentication configuration" in feedback.said[-1][1]
    values["proxy/proxyType"] = "Socks5Proxy"
    assert proxies(feedback) == {}
    assert "Socks5Proxy" in feedback.said[-1][1]
    values["proxy/proxyType"] = "DefaultProxy"
    assert proxies(feedback) == {}, "pip finds the system's own"


def test_the_same_content_has_the_same_untouched_file(storage, tmp_path):
    cache = storage.Cache(str(tmp_path / "cache"))
    path = Path(cache.path("area", [b"ab", b"c"], ".fgb"))
    assert Path(cache.path("area", [b"a", b"bc"], ".fgb")) != path
    path.write_text("x")
    os.utime(path, (1e9, 1e9))
    again = Path(cache.path("area", [b"ab", b"c"], ".fgb"))
    assert again == path and path.stat().st_mtime == 1e9, "the engine knows it by its time of change"
    cache.clean()
    assert path.exists(), "it was used just now"
    os.utime(path, (1e9, 1e9))
    cache.clean()
    assert not path.exists()


def test_the_last_logs_are_kept(storage, tmp_path):
    paths = []
    for number in range(25):
        paths.append(Path(storage.new_log(str(tmp_path), "detect")))
        paths[-1].write_text("x")
        os.utime(paths[-1], (1e9 + number,) * 2)
    assert len(set(paths)) == 25
    assert sorted(tmp_path.iterdir()) == sorted(paths[-20:])
