"""Run a program of another environment and read it line by line. Standard library only, no QGIS."""

import contextlib
import os
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time

from .texts import tr

#: Variables that QGIS sets for its own Python and libraries. Another Python fails with them, or its pip installs into
#: the wrong place.
_UNWANTED = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "__PYVENV_LAUNCHER__",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
_UNWANTED_STARTS = ("PROJ_", "GDAL_", "QT_", "OGR_", "GRASS_", "DYLD_")
#: Makes the engine stop at the end of its standard input. This works on every system, and through wrapper scripts.
_STOP_CHANNEL = {"NSSA_GIS_STOP": "stdin"}
#: Seconds that a cancelled program has to end by itself (the engine finishes its tile and closes its journal).
_GRACE = 8.0
#: Seconds to wait for output after the end. The pipes stay open while a child of the program is running.
_DRAIN = 2.0
#: Seconds to wait for a killed program to disappear (it may hang in the system).
_GIVEN_UP = 5.0
_POLL = 0.1
_WINDOWS = sys.platform == "win32"


class EngineError(Exception):
    """The engine is missing or failed; the text is for the user."""


class Cancelled(Exception):
    """The user cancelled; the program has ended."""


def clean_environment(more=None):
    """Return the environment without what QGIS set for its own Python and libraries, and with ``more``."""
    kept = {k: v for k, v in os.environ.items() if k not in _UNWANTED and not k.startswith(_UNWANTED_STARTS)}
    kept.update(more or {})
    kept["PYTHONIOENCODING"] = "utf-8"
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def popen(arguments, environment=None, stdin=subprocess.DEVNULL):
    """Start a program with pipes, in a process group of its own, without a console window."""
    flags = {}
    if _WINDOWS:
        # a process group of its own reacts to Ctrl-Break only; the signal needs a (hidden) console
        startup = subprocess.STARTUPINFO()
        startup.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP, "startupinfo": startup}
    else:
        flags = {"start_new_session": True}
    # an argument list of our own, never a shell
    return subprocess.Popen(  # noqa: S603  # nosec B603
        [str(a) for a in arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(environment),
        encoding="utf-8",
        errors="replace",
        bufsize=1,
        **flags,
    )


def run(arguments, on_line, is_cancelled, environment=None, stop_channel=False):
    """Run a program, line by line.

    Parameters
    ----------
    arguments : list of str
        Program and arguments.
    on_line : callable
        Takes (line, is_stderr) on the calling thread.
    is_cancelled : callable
        Polled. When it returns True, the program is asked to end, and killed if it does not.
    environment : dict, optional
        Variables to add.
    stop_channel : bool
        Whether the program is the engine, which stops when its standard input is closed. Others get the signal of
        Ctrl-C.

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
    variables = {**(environment or {}), **(_STOP_CHANNEL if stop_channel else {})}
    try:
        process = popen(arguments, variables, subprocess.PIPE if stop_channel else subprocess.DEVNULL)
    except OSError as error:
        raise EngineError(tr("{} cannot be started: {}").format(arguments[0], error)) from None
    lines = _Lines(process)
    stopping = _Stopping(process)
    try:
        while not (lines.ended and process.poll() is not None):
            line = lines.next()
            if line is not None:
                on_line(*line)
            elif stopping.is_over():
                break
            if is_cancelled():
                stopping.press()
    except BaseException:
        _kill(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GIVEN_UP)
        raise
    finally:
        _close(process.stdin)
    if stopping.asked_at is None:
        return process.wait()
    if not lines.ended:
        _kill(process)  # a wrapper script has ended, but its child has not
    raise Cancelled


class _Lines:
    """The lines of both streams, as they come.

    Each stream is closed by the thread that reads it. Closing it here would wait for that thread as long as any process
    holds the other end.
    """

    def __init__(self, process):
        self._lines = queue.Queue()
        self._open = 2
        for stream, is_stderr in ((process.stdout, False), (process.stderr, True)):
            threading.Thread(target=self._read, args=(stream, is_stderr), daemon=True).start()

    @property
    def ended(self):
        """Whether both streams have ended and every line was returned."""
        return self._open == 0

    def next(self):
        """Return (line, is_stderr), or None if there was no line for a moment."""
        try:
            line, is_stderr = self._lines.get(timeout=_POLL)
        except queue.Empty:
            return None
        if line is None:
            self._open -= 1
            return None
        return line, is_stderr

    def _read(self, stream, is_stderr):
        try:
            with stream:
                for line in stream:
                    self._lines.put((line.rstrip("\r\n"), is_stderr))
        finally:
            self._lines.put((None, is_stderr))


class _Stopping:
    """Ends a program: ask it to stop, then kill it, then give up."""

    def __init__(self, process):
        self._process = process
        self.asked_at = self._killed_at = self._seen_ended_at = None

    def press(self):
        """Take the next step if it is time; called repeatedly after the user has cancelled."""
        now = time.monotonic()
        if self.asked_at is None:
            self.asked_at = now
            _ask_to_stop(self._process)
        elif self._killed_at is None and now - self.asked_at > _GRACE:
            self._killed_at = now
            _kill(self._process)

    def is_over(self):
        """Whether to stop waiting although the streams are open."""
        now = time.monotonic()
        if self._process.poll() is None:
            return self._killed_at is not None and now - self._killed_at > _GIVEN_UP
        self._seen_ended_at = self._seen_ended_at or now
        return now - self._seen_ended_at > _DRAIN


def _ask_to_stop(process):
    """Ask the program to stop; the engine then keeps its journal and can be resumed."""
    if process.stdin is not None:
        _close(process.stdin)
        return
    with contextlib.suppress(OSError):  # it may have just ended
        if _WINDOWS:
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(process.pid, signal.SIGINT)


def _kill(process):
    """Kill the program and its children, because the engine may be started by a wrapper script."""
    if _WINDOWS:
        tool = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        command = [tool, "/T", "/F", "/PID", str(process.pid)]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # the program itself is ended below
            # Windows' own tool by its full path, with a number of ours
            subprocess.run(command, capture_output=True, timeout=10, check=False)  # noqa: S603  # nosec B603
    else:
        with contextlib.suppress(OSError):  # it may have just ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _close(stream):
    with contextlib.suppress(OSError):  # the other end may be gone
        if stream is not None:
            stream.close()
