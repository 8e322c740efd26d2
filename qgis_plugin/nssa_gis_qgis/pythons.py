"""Find a Python that can create the environment of the engine. Standard library only, no QGIS."""

import glob
import os
import sys
from shutil import which

from .process import EngineError, run
from .texts import tr

_WINDOWS = sys.platform == "win32"
#: Versions of Python that the engine runs on.
_OLDEST, _NEWEST = (3, 10), (3, 13)
_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
#: Names of the folders that installers of conda make.
_CONDAS = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba")


def find_python(feedback):
    """Find a Python of the right version with venv.

    Raises
    ------
    EngineError
        There is none.
    """
    for path in candidates(feedback):
        if path and os.path.isfile(path):
            try:
                python_version(path, feedback)
            except EngineError:
                continue
            return path
    raise EngineError(
        tr(
            "No Python from {} to {} with venv was found. Install one (python.org, your package manager: on Debian "
            "also python3-venv) and give its path under 'Python'."
        ).format(_text(_OLDEST), _text(_NEWEST))
    )


def candidates(feedback):
    """Yield the places where a Python may be: newest version first, then those of conda, then the one of QGIS."""
    minors = range(_NEWEST[1], _OLDEST[1] - 1, -1)
    for minor in minors:
        yield which(f"python3.{minor}")
        if _WINDOWS:
            yield _of_launcher(f"3.{minor}", feedback)
            for place, *middle in (("LOCALAPPDATA", "Programs", "Python"), ("PROGRAMFILES",)):
                yield os.path.join(os.environ.get(place, ""), *middle, f"Python3{minor}", "python.exe")
        elif sys.platform == "darwin":
            # QGIS started from the Dock has a minimal PATH
            yield f"/opt/homebrew/bin/python3.{minor}"
            yield f"/usr/local/bin/python3.{minor}"
            yield f"/Library/Frameworks/Python.framework/Versions/3.{minor}/bin/python3"
    yield which("python3")
    yield which("python")
    for root in _conda_roots():
        for folder in (root, *sorted(glob.glob(os.path.join(root, "envs", "*")))):
            yield os.path.join(folder, "python.exe" if _WINDOWS else os.path.join("bin", "python"))
    if _WINDOWS:
        yield os.path.join(sys.prefix, "python.exe")


def _of_launcher(version, feedback):
    """Ask the py launcher of Windows where a version is; None if it does not know."""
    launcher = which("py")
    if not launcher:
        return None
    said = []
    command = [launcher, f"-{version}", "-c", "import sys; print(sys.executable)"]
    code = run(command, lambda line, is_stderr: is_stderr or said.append(line), feedback.isCanceled)
    return said[0] if code == 0 and said else None


def _conda_roots():
    roots = [os.environ.get("CONDA_PREFIX", "")]
    homes = [os.path.expanduser("~"), *(os.environ.get(name, "") for name in ("LOCALAPPDATA", "PROGRAMDATA"))]
    homes.append(os.path.join(os.sep, "opt"))
    roots += [os.path.join(home, name) for home in homes if home for name in _CONDAS]
    return [root for root in roots if root and os.path.isdir(root)]


def python_version(path, feedback):
    """Return the version ``3.x`` of a Python.

    Raises
    ------
    EngineError
        It is too old or too new, lacks venv, or does not run.
    """
    said = []
    code = run([path, "-c", _PROBE], lambda line, is_stderr: said.append((line, is_stderr)), feedback.isCanceled)
    text = next((line for line, is_stderr in said if not is_stderr), "")
    if code or not text:
        why = said[-1][0] if said else tr("exit code {}").format(code)
        raise EngineError(tr("{} cannot make an environment: {}").format(path, why))
    version = tuple(int(part) for part in text.split("."))
    if not _OLDEST <= version <= _NEWEST:
        raise EngineError(
            tr("{} is Python {}; the engine needs {} to {}.").format(path, text, _text(_OLDEST), _text(_NEWEST))
        )
    return text


def _text(version):
    return ".".join(map(str, version))
