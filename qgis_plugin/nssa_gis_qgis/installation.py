"""Installing the engine into an environment of its own. Standard library only: no QGIS in here."""

import json
import os
import shutil
import sys
import time

from .engine import Cancelled, EngineError, run

_WINDOWS = sys.platform == "win32"
#: Versions of Python that the engine runs on.
_OLDEST, _NEWEST = (3, 10), (3, 13)
#: Where pip finds PyTorch builds; "default" is what PyPI has (on Linux a large CUDA build).
INDEXES = {
    "cpu": "https://download.pytorch.org/whl/cpu",
    "cuda": "https://download.pytorch.org/whl/cu126",
    "default": "",
}
_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


class Installation:
    """The environment that the plugin manages.

    Each installation has a folder of its own; a small file names the one in use. A failed or cancelled installation
    leaves the former one untouched.

    Parameters
    ----------
    folder : str
        Where it lives.
    """

    def __init__(self, folder):
        self.folder = folder
        self._pointer = os.path.join(folder, "current.json")

    @property
    def executable(self):
        """Path of the executable in use, or None."""
        try:
            with open(self._pointer, encoding="utf-8") as handle:
                name = json.load(handle)["environment"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        path = _executable(os.path.join(self.folder, os.path.basename(str(name))))
        return path if os.path.isfile(path) else None

    def install(self, package, python, accelerator, wheels, proxies, feedback):
        """Make an environment, install into it, verify it, and only then use it.

        Parameters
        ----------
        package : str
            What pip installs: a name, a wheel or a source folder.
        python : str
            Python to use; empty for the first suitable one.
        accelerator : str
            A key of `INDEXES`.
        wheels : str
            Folder of wheels: nothing is downloaded then; empty for none.
        proxies : dict
            ``HTTP_PROXY`` and such.
        feedback : object
            A QgsProcessingFeedback.

        Returns
        -------
        dict
            What ``nssa-gis doctor --json`` says.

        Raises
        ------
        EngineError
            With the reason and, for pip, its last lines.
        Cancelled
            By the user.
        """
        python = python or find_python(feedback)
        version = python_version(python, feedback)
        feedback.pushInfo(f"Python {version}: {python}")
        if wheels and not os.path.isdir(wheels):
            raise EngineError(f"The folder of wheels {wheels} is not there.")
        os.makedirs(self.folder, exist_ok=True)
        environment = os.path.join(self.folder, time.strftime("engine-%Y%m%d-%H%M%S"))
        try:
            feedback.setProgressText("Creating the environment")
            self._step([python, "-m", "venv", environment], feedback, proxies)
            feedback.setProgress(10)
            feedback.setProgressText("Installing (PyTorch is the large part)")
            command = [_python(environment), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
            if wheels:
                command += ["--no-index", "--find-links", wheels]
            elif INDEXES[accelerator]:
                command += ["--extra-index-url", INDEXES[accelerator]]
            self._step([*command, package], feedback, proxies, ticks=(10, 90))
            feedback.setProgressText("Verifying")
            facts = doctor(_executable(environment), feedback)
            with open(self._pointer + ".part", "w", encoding="utf-8") as handle:
                json.dump({"environment": os.path.basename(environment)}, handle)
            os.replace(self._pointer + ".part", self._pointer)
        except BaseException:
            shutil.rmtree(environment, ignore_errors=True)
            raise
        self._remove_others(environment)
        feedback.setProgress(100)
        return facts

    def uninstall(self):
        """Remove what `install` made; give whether there was anything.

        Raises
        ------
        EngineError
            Something cannot be removed (on Windows: while it runs).
        """
        if not os.path.isdir(self.folder):
            return False
        try:
            if os.path.exists(self._pointer):
                os.remove(self._pointer)
            for name in self._environments():
                shutil.rmtree(os.path.join(self.folder, name))
        except OSError as error:
            raise EngineError(f"The engine cannot be removed: {error}. End all runs and try again.") from None
        return True

    def _environments(self):
        return [name for name in os.listdir(self.folder) if name.startswith("engine-")]

    def _remove_others(self, kept):
        for name in self._environments():
            if name != os.path.basename(kept):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _step(self, command, feedback, proxies, ticks=None):
        said = []

        def on_line(line, is_stderr):
            said.append(line)
            feedback.pushConsoleInfo(line)
            if ticks:  # pip tells no total: approach the end ever more slowly
                low, high = ticks
                feedback.setProgress(high - (high - low) / (1 + len(said) / 25))

        code = run(command, on_line, feedback.isCanceled, proxies)
        if code:
            last = " / ".join(line for line in said[-4:] if line.strip())
            raise EngineError(f"{os.path.basename(command[0])} {' '.join(command[1:4])} failed: {last}")


def find_python(feedback):
    """Find a Python of the right version with venv.

    Raises
    ------
    EngineError
        There is none.
    """
    minors = range(_NEWEST[1], _OLDEST[1] - 1, -1)
    candidates = [shutil.which(f"python3.{minor}") for minor in minors]
    candidates += [shutil.which("python3"), shutil.which("python")]
    conda = os.environ.get("CONDA_PREFIX")
    if conda:
        candidates.append(os.path.join(conda, "python.exe" if _WINDOWS else os.path.join("bin", "python")))
    if _WINDOWS:
        places = [os.environ.get("LOCALAPPDATA", ""), os.environ.get("PROGRAMFILES", "")]
        for minor in minors:
            for place, middle in zip(places, (os.path.join("Programs", "Python"), "")):
                candidates.append(os.path.join(place, middle, f"Python3{minor}", "python.exe"))
        candidates.append(os.path.join(sys.prefix, "python.exe"))
    for path in candidates:
        if path and os.path.isfile(path):
            try:
                python_version(path, feedback)
            except EngineError:
                continue
            return path
    raise EngineError(
        "No Python from {}.{} to {}.{} with venv was found. Install one (python.org, your package manager: on Debian also "
        "python3-venv) and name it under 'Python'.".format(*_OLDEST, *_NEWEST)
    )


def python_version(path, feedback):
    """Give the version ``3.x`` of a Python.

    Raises
    ------
    EngineError
        It is too old or too new, lacks venv, or does not run.
    """
    said = []
    code = run([path, "-c", _PROBE], lambda line, is_stderr: said.append((line, is_stderr)), feedback.isCanceled)
    text = next((line for line, is_stderr in said if not is_stderr), "")
    if code or not text:
        why = said[-1][0] if said else f"exit code {code}"
        raise EngineError(f"{path} cannot make an environment: {why}")
    version = tuple(int(part) for part in text.split("."))
    if not _OLDEST <= version <= _NEWEST:
        raise EngineError(
            "{} is Python {}; the engine needs {}.{} to {}.{}.".format(path, text, *_OLDEST, *_NEWEST)
        )
    return text


def doctor(executable, feedback):
    """Ask an engine about itself.

    Raises
    ------
    EngineError
        It does not run, or something that it needs is broken.
    """
    out, errors = [], []
    code = run(
        [executable, "doctor", "--json"],
        lambda line, is_stderr: (errors if is_stderr else out).append(line),
        feedback.isCanceled,
    )
    try:
        facts = json.loads("\n".join(out))
    except ValueError:
        last = " / ".join(errors[-3:]) or "it said nothing"
        raise EngineError(f"{executable} does not work (exit code {code}): {last}") from None
    if facts.get("problems"):
        raise EngineError("The engine has problems: " + "; ".join(map(str, facts["problems"])))
    return facts


def _python(environment):
    return os.path.join(environment, "Scripts" if _WINDOWS else "bin", "python.exe" if _WINDOWS else "python")


def _executable(environment):
    return os.path.join(environment, "Scripts" if _WINDOWS else "bin", "nssa-gis.exe" if _WINDOWS else "nssa-gis")


__all__ = ["INDEXES", "Cancelled", "Installation", "doctor", "find_python", "python_version"]
