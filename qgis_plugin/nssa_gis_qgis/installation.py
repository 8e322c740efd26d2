"""Install the engine into its own environment. Standard library only, no QGIS."""

import contextlib
import json
import os
import shutil
import sys
import threading
import time

from .masking import masked
from .process import EngineError, run
from .pythons import find_python, python_version
from .texts import tr

_WINDOWS = sys.platform == "win32"
#: Where pip finds PyTorch builds; "default" is what PyPI has (on Linux a large CUDA build).
INDEXES = {
    "cpu": "https://download.pytorch.org/whl/cpu",
    "cuda": "https://download.pytorch.org/whl/cu126",
    "default": "",
}
#: The version that the engine needs (pyproject.toml). It is installed first, from an index with PyTorch only.
_TORCH = "torch>=2.6,<2.14"
#: Start of the names of environments; short, because paths inside PyTorch are long.
_PREFIX = "env-"
#: Seconds after which a run touches the file that marks its environment as in use. After a crash the file gets old.
_BEAT = 30.0


class Installation:
    """The environment that the plugin manages.

    Each installation has its own folder; a small file names the one in use. After a failed or cancelled installation
    the old one is still in use.

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
        """Create an environment, install the engine into it and verify it; only then use it.

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
            The output of ``nssa-gis doctor --json``.

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
            raise EngineError(tr("The folder of wheels {} does not exist.").format(wheels))
        os.makedirs(self.folder, exist_ok=True)
        environment = os.path.join(self.folder, time.strftime(_PREFIX + "%y%m%d%H%M%S"))
        try:
            feedback.setProgressText(tr("Creating the environment"))
            self._step([python, "-m", "venv", environment], feedback, proxies)
            feedback.setProgress(10)
            feedback.setProgressText(tr("Installing (PyTorch is the large part)"))
            for command, ticks in pip_commands(_python(environment), package, accelerator, wheels):
                self._step(command, feedback, proxies, ticks)
            feedback.setProgressText(tr("Verifying"))
            facts = doctor(_executable(environment), feedback)
            if problems(facts):
                raise EngineError(problems(facts))
            with open(self._pointer + ".part", "w", encoding="utf-8") as handle:
                json.dump({"environment": os.path.basename(environment)}, handle)
            os.replace(self._pointer + ".part", self._pointer)
        except BaseException:
            shutil.rmtree(environment, ignore_errors=True)
            raise
        self._remove_others(environment)
        if accelerator == "cuda" and not sees_cuda(facts):
            text = tr("The engine sees no CUDA device: it will run on the CPU. Is NVIDIA's driver installed?")
            feedback.pushWarning(text)
        feedback.setProgress(100)
        return facts

    def uninstall(self):
        """Remove what `install` made; return whether there was anything.

        Raises
        ------
        EngineError
            It is in use, or something cannot be removed.
        """
        if not os.path.isdir(self.folder):
            return False
        if any(self._is_used(name) for name in self._environments()):
            raise EngineError(tr("The engine is in use. End all runs and try again."))
        try:
            if os.path.exists(self._pointer):
                os.remove(self._pointer)
            for name in self._environments():
                shutil.rmtree(os.path.join(self.folder, name))
        except OSError as error:
            text = tr("The engine cannot be removed: {}. End all runs and try again.")
            raise EngineError(text.format(error)) from None
        return True

    @contextlib.contextmanager
    def in_use(self, executable):
        """Mark the environment of an executable as in use, so that no installation removes it; others are left alone.

        It is a file that is touched regularly, not a lock. It works between programs and on network folders, and it
        becomes invalid after a crash.
        """
        environment = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
        if os.path.dirname(environment) != os.path.abspath(self.folder):
            yield
            return
        mark = os.path.join(environment, f"in-use-{os.getpid()}-{time.time_ns()}")
        ended = threading.Event()
        beat = threading.Thread(target=_beat, args=(mark, ended), daemon=True)
        _touch(mark)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()
            with contextlib.suppress(OSError):
                os.remove(mark)

    def _environments(self):
        return [name for name in os.listdir(self.folder) if name.startswith(_PREFIX)]

    def _is_used(self, name):
        folder = os.path.join(self.folder, name)
        for entry in os.listdir(folder):
            if entry.startswith("in-use-"):
                with contextlib.suppress(OSError):  # it may have just ended
                    if time.time() - os.path.getmtime(os.path.join(folder, entry)) < 2 * _BEAT:
                        return True
        return False

    def _remove_others(self, kept):
        for name in self._environments():
            if name != os.path.basename(kept) and not self._is_used(name):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _step(self, command, feedback, proxies, ticks=None):
        said = []

        def on_line(line, is_stderr):
            line = masked(line)
            said.append(line)
            feedback.pushConsoleInfo(line)
            if ticks:  # pip does not report a total, so the bar slows down towards the end
                low, high = ticks
                feedback.setProgress(high - (high - low) / (1 + len(said) / 25))

        code = run(command, on_line, feedback.isCanceled, proxies)
        if code:
            last = " / ".join(line for line in said[-4:] if line.strip())
            shown = f"{os.path.basename(command[0])} {' '.join(command[1:4])}"
            raise EngineError(tr("{} failed: {}").format(shown, last))


def pip_commands(python, package, accelerator, wheels):
    """Return the commands that install the engine, each with its span of the progress.

    PyTorch comes first, from its own index only: with PyPI as a second index pip would take the newest build of all.
    """
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if wheels:
        return [([*install, "--no-index", "--find-links", wheels, package], (10, 90))]
    if not INDEXES[accelerator]:
        return [([*install, package], (10, 90))]
    return [
        ([*install, "--index-url", INDEXES[accelerator], _TORCH], (10, 70)),
        ([*install, package], (70, 90)),
    ]


def doctor(executable, feedback):
    """Return what ``nssa-gis doctor`` reports.

    Raises
    ------
    EngineError
        It does not run.
    """
    if not os.path.isfile(executable):
        raise EngineError(tr("{} does not exist.").format(executable))
    out, errors = [], []
    code = run(
        [executable, "doctor", "--json"],
        lambda line, is_stderr: (errors if is_stderr else out).append(line),
        feedback.isCanceled,
    )
    try:
        facts = json.loads("\n".join(out))
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        last = " / ".join(errors[-3:]) or tr("nothing")
        raise EngineError(tr("{} does not work (exit code {}); its last lines: {}").format(executable, code, last))
    return facts


def problems(facts):
    """Return the problems of an engine as one message; empty if there are none."""
    found = "; ".join(map(str, facts.get("problems") or []))
    return tr("The engine has problems: {}").format(found) if found else ""


def sees_cuda(facts):
    """Say whether an engine's facts name a CUDA device."""
    return any(name.startswith("cuda:") for section in facts.values() if isinstance(section, dict) for name in section)


def _beat(mark, ended):
    while not ended.wait(_BEAT):
        _touch(mark)


def _touch(path):
    with contextlib.suppress(OSError):  # a folder that cannot be written to cannot be removed either
        with open(path, "a", encoding="utf-8"):
            os.utime(path)


def _python(environment):
    return os.path.join(environment, "Scripts" if _WINDOWS else "bin", "python.exe" if _WINDOWS else "python")


def _executable(environment):
    return os.path.join(environment, "Scripts" if _WINDOWS else "bin", "nssa-gis.exe" if _WINDOWS else "nssa-gis")
