"""The bridge to the engine: finding the executable and running it. Standard library only: no QGIS in here."""

import json
import os
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time
from shutil import which

#: Set by QGIS for its own Python and libraries; in another Python they break it.
_UNWANTED = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV")
_UNWANTED_STARTS = ("PROJ_", "GDAL_", "QT_", "OGR_", "GRASS_")
#: Seconds that a cancelled engine has to end by itself (it finishes its tile and closes its journal).
_GRACE = 8.0
_POLL = 0.1
#: Lines that are not events are kept for the message of a crash, so many.
_KEPT = 15
_WINDOWS = sys.platform == "win32"


class EngineError(Exception):
    """The engine is missing or failed; the text is for the user."""


class Cancelled(Exception):
    """The user cancelled; the engine has ended."""


def find_engine(setting, managed):
    """Find the executable.

    Parameters
    ----------
    setting : str
        Path from the plugin's settings, or empty.
    managed : str or None
        Executable of the environment that the plugin installed.

    Returns
    -------
    path, origin : str
        Where it is, and how it was found.

    Raises
    ------
    EngineError
        Nowhere; or a place that was named explicitly does not hold it.
    """
    for path, origin in ((setting, "plugin setting"), (os.environ.get("NSSA_GIS", ""), "environment variable NSSA_GIS")):
        if path:
            if not os.path.isfile(path):
                raise EngineError(
                    f"The {origin} names {path}, which is not there. Correct it, or run the algorithm "
                    "'Check the installation' with an empty engine path to forget it."
                )
            return path, origin
    if managed and os.path.isfile(managed):
        return managed, "installed by the plugin"
    found = which("nssa-gis")
    if found:
        return found, "PATH"
    raise EngineError(
        "The detection engine nssa-gis is not installed. Run the algorithm 'Install or update the engine' of NSSA-GIS in "
        "the toolbox, or set the environment variable NSSA_GIS to an nssa-gis executable."
    )


def clean_environment(more=None):
    """Give the environment without what QGIS set for its own Python and libraries, and with ``more``."""
    kept = {
        k: v for k, v in os.environ.items() if k not in _UNWANTED and not k.startswith(_UNWANTED_STARTS)
    }
    kept.update(more or {})
    kept["PYTHONIOENCODING"] = "utf-8"
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def popen(arguments, environment=None):
    """Start a program with pipes, in a process group of its own, without a console window."""
    flags = {}
    if _WINDOWS:
        # a group of its own takes Ctrl-Break alone; the hidden console is what carries it
        startup = subprocess.STARTUPINFO()
        startup.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP, "startupinfo": startup}
    else:
        flags = {"start_new_session": True}
    # an argument list of our own, never a shell
    return subprocess.Popen(  # nosec B603
        [str(a) for a in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(environment),
        encoding="utf-8",
        errors="replace",
        bufsize=1,
        **flags,
    )


def ask_to_stop(process):
    """Ask politely: the engine keeps its journal and can be resumed."""
    try:
        process.send_signal(signal.CTRL_BREAK_EVENT if _WINDOWS else signal.SIGINT)
    except OSError:
        pass  # it has just ended


def run(arguments, on_line, is_cancelled, environment=None):
    """Run a program, line by line.

    Parameters
    ----------
    arguments : list of str
        Program and arguments.
    on_line : callable
        Takes (line, is_stderr) on the calling thread.
    is_cancelled : callable
        Polled; True ends the program, politely and then hard.
    environment : dict, optional
        Variables to add.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    Cancelled
        The user cancelled and the program has ended.
    EngineError
        It cannot be started.
    """
    try:
        process = popen(arguments, environment)
    except OSError as error:
        raise EngineError(f"{arguments[0]} cannot be started: {error}") from None
    lines = queue.Queue()
    readers = [
        threading.Thread(target=_read, args=(stream, lines, is_stderr), daemon=True)
        for stream, is_stderr in ((process.stdout, False), (process.stderr, True))
    ]
    for reader in readers:
        reader.start()
    stopped_at = None
    try:
        open_streams = len(readers)
        while open_streams:
            try:
                line, is_stderr = lines.get(timeout=_POLL)
                if line is None:
                    open_streams -= 1
                else:
                    on_line(line, is_stderr)
            except queue.Empty:
                pass
            if stopped_at is None and is_cancelled():
                stopped_at = time.monotonic()
                ask_to_stop(process)
            elif stopped_at is not None and time.monotonic() - stopped_at > _GRACE:
                process.kill()
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()
        process.stderr.close()
    if stopped_at is not None:
        raise Cancelled
    return code


def _read(stream, lines, is_stderr):
    try:
        for line in stream:
            lines.put((line.rstrip("\r\n"), is_stderr))
    except ValueError:
        pass  # closed while reading
    lines.put((None, is_stderr))


class Run:
    """One run of ``detect`` or ``batch``: turns JSON lines into progress, and the end into a result or an error.

    Parameters
    ----------
    feedback : object
        With ``setProgress``, ``setProgressText``, ``pushInfo``, ``pushWarning``, ``pushDebugInfo``, ``isCanceled``
        (a QgsProcessingFeedback).
    log_path : str
        File that takes every line of the engine.
    """

    def __init__(self, feedback, log_path):
        self.feedback, self.log_path = feedback, log_path
        self.done = None
        self.error = None
        self.other = []
        self.output = []

    def execute(self, executable, arguments):
        """Run to the end.

        Returns
        -------
        dict
            The ``done`` event.

        Raises
        ------
        Cancelled
            By the user.
        EngineError
            With the engine's own message, or what is known of a crash.
        """
        command = [executable, *arguments, "--progress", "json"]
        self.feedback.pushCommandInfo(" ".join(_quoted(part) for part in command))
        with open(self.log_path, "w", encoding="utf-8") as log:
            log.write(" ".join(_quoted(part) for part in command) + "\n")

            def on_line(line, is_stderr):
                log.write(line + "\n")
                self.take(line, is_stderr)

            code = run(command, on_line, self.feedback.isCanceled)
            log.write(f"exit code {code}\n")
        if code == 0 and self.error is None:
            return self.done or {}
        if self.error is not None:
            raise EngineError(f"{self.error} (log: {self.log_path})")
        last = " / ".join(self.other[-3:]) or "it said nothing"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        raise EngineError(f"The engine {how} without a message; its last words: {last} (log: {self.log_path})")

    def take(self, line, is_stderr):
        """Handle one line of output."""
        event = _event(line) if is_stderr else None
        if event is None:
            (self.other if is_stderr else self.output).append(line)
            del self.other[:-_KEPT]
            return
        kind = event["event"]
        prefix = "[{number}/{scenes}] ".format(**event) if "scenes" in event and "number" in event else ""
        if kind == "start":
            self.feedback.pushInfo(
                "{}{}: {} x {} px at the model's resolution, {} tiles; {}".format(
                    prefix,
                    os.path.basename(str(event.get("scene", ""))),
                    event.get("width"),
                    event.get("height"),
                    event.get("tiles"),
                    event.get("backend"),
                )
            )
        elif kind == "tile":
            self._progress(event, 0.0, 0.9)
            self.feedback.setProgressText(f"{prefix}tile {event['done']} of {event['total']}, {event['detections']} found")
        elif kind == "merge":
            self._progress(event, 0.9, 0.1)
        elif kind == "warning":
            self.feedback.pushWarning(prefix + event["message"])
        elif kind == "error":
            if "scene" in event and "number" in event:  # one scene of many: the others go on
                self.feedback.pushWarning(prefix + event["message"])
            else:
                self.error = event["message"]
        elif kind == "done":
            self.done = event

    def _progress(self, event, start, share):
        part = start + share * event["done"] / max(event["total"], 1)
        scenes = event.get("scenes", 1)
        self.feedback.setProgress(100 * (event.get("number", 1) - 1 + part) / max(scenes, 1))


def _event(line):
    """Give the JSON event in a line, or None."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _quoted(part):
    """Show an argument as one would type it."""
    return f'"{part}"' if " " in part or not part else part
