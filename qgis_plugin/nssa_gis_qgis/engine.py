"""The bridge to the engine: find the executable, run it, read its events. Standard library only, no QGIS."""

import json
import os
import time
from shutil import which

from .masking import masked
from .process import Cancelled, EngineError, run
from .texts import tr

#: Lines that are not events are kept for the message after a crash, at most this many.
_KEPT = 15
#: Seconds between two texts of progress: the log of a dialog takes 10,000 lines, and a scene may have more tiles.
_TEXT_EVERY = 1.0


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
        It is nowhere, or not at the path that the user gave.
    """
    named = ((setting, tr("plugin setting")), (os.environ.get("NSSA_GIS", ""), tr("environment variable NSSA_GIS")))
    for path, origin in named:
        if path:
            if not os.path.isfile(path):
                raise EngineError(
                    tr(
                        "The engine {} does not exist ({}). Correct the path, or clear it: run the algorithm 'Check "
                        "the installation' with an empty engine path."
                    ).format(path, origin)
                )
            return path, origin
    if managed and os.path.isfile(managed):
        return managed, tr("installed by the plugin")
    found = which("nssa-gis")
    if found:
        return found, "PATH"
    raise EngineError(
        tr(
            "The detection engine nssa-gis is not installed. Run the algorithm 'Install or update the engine' of "
            "NSSA-GIS in the toolbox, or set the environment variable NSSA_GIS to an nssa-gis executable."
        )
    )


class Run:
    """One run of ``detect`` or ``batch``: turn JSON lines into progress, and the end into a result or an error.

    Parameters
    ----------
    feedback : object
        With ``setProgress``, ``setProgressText``, ``pushInfo``, ``pushWarning``, ``pushDebugInfo``, ``isCanceled``
        (a QgsProcessingFeedback).
    log_path : str
        File that gets every line of the engine.

    Attributes
    ----------
    done : dict or None
        The last ``done`` event; None after a run that was cancelled.
    objects : int
        Objects found, in all scenes.
    failures : list of str
        One message for each failed scene of a batch.
    error : str or None
        The message that ended the run.
    output : list of str
        Lines of standard output.
    """

    def __init__(self, feedback, log_path):
        self.feedback, self.log_path = feedback, log_path
        self.done = None
        self.objects = 0
        self.failures = []
        self.error = None
        self.output = []
        self._other = []
        self._scenes = 1
        self._text_at = 0.0

    def execute(self, executable, arguments):
        """Run to the end.

        Returns
        -------
        dict
            The last ``done`` event.

        Raises
        ------
        Cancelled
            By the user.
        EngineError
            The engine failed (with its own message) or crashed (with its last lines).
        """
        command = [executable, *arguments, "--progress", "json"]
        shown = masked(" ".join(_quoted(part) for part in command))
        self.feedback.pushCommandInfo(shown)
        with open(self.log_path, "w", encoding="utf-8") as log:
            log.write(shown + "\n")

            def on_line(line, is_stderr):
                log.write(masked(line) + "\n")
                self.take(line, is_stderr)

            try:
                code = run(command, on_line, self.feedback.isCanceled, stop_channel=True)
            except Cancelled:
                self.done = None
                log.write("cancelled\n")
                raise
            log.write(f"exit code {code}\n")
        self._judge(code)
        return self.done or {}

    def _judge(self, code):
        """Raise the error of a failed run; a batch in which only some scenes failed is no error."""
        if self.error is None and (code == 0 or 0 < len(self.failures) < self._scenes):
            return
        log = tr("log: {}").format(self.log_path)
        if self.error is not None:
            raise EngineError(f"{self.error} ({log})")
        if self.failures:
            text = tr("None of the scenes could be processed ({} failed); the first one: {}")
            raise EngineError(f"{text.format(len(self.failures), self.failures[0])} ({log})")
        last = " / ".join(self._other[-3:]) or tr("nothing")
        how = tr("The engine ended with code {} without a message; its last lines: {}")
        if code < 0:
            how, code = tr("The engine was ended by signal {} without a message; its last lines: {}"), -code
        raise EngineError(f"{how.format(code, last)} ({log})")

    def take(self, line, is_stderr):
        """Handle one line of output."""
        event = _event(line) if is_stderr else None
        if event is None:
            (self._other if is_stderr else self.output).append(masked(line))
            del self._other[:-_KEPT]
            return
        kind, message = event["event"], masked(str(event.get("message", "")))
        prefix = "[{number}/{scenes}] ".format(**event) if "scenes" in event and "number" in event else ""
        self._scenes = event.get("scenes", 1)
        if kind == "start":
            self._tell_start(event, prefix)
        elif kind == "tile":
            self._progress(event, 0.0, 0.9)
            self._tell_tile(event, prefix)
        elif kind == "merge":
            self._progress(event, 0.9, 0.1)
        elif kind == "warning":
            self.feedback.pushWarning(prefix + message)
        elif kind == "error" and prefix:  # one scene of a batch: the others go on
            self.failures.append(message)
            self.feedback.pushWarning(prefix + message)
        elif kind == "error":
            self.error = message
        elif kind == "done":
            self.done = event
            self.objects += event.get("objects", 0)

    def _tell_start(self, event, prefix):
        name = os.path.basename(str(event.get("scene", "")))
        told = tr("{}: {} x {} px at the model's resolution, {} tiles; {}").format(
            name, event.get("width"), event.get("height"), event.get("tiles"), event.get("backend")
        )
        self.feedback.pushInfo(prefix + told)
        if event.get("tiles_done"):
            self.feedback.pushInfo(
                prefix + tr("{} tiles were finished by the interrupted run").format(event["tiles_done"])
            )

    def _tell_tile(self, event, prefix):
        now = time.monotonic()
        if now - self._text_at >= _TEXT_EVERY:
            self._text_at = now
            told = tr("tile {} of {}, {} found").format(event["done"], event["total"], event["detections"])
            self.feedback.setProgressText(prefix + told)

    def _progress(self, event, start, share):
        part = start + share * event["done"] / max(event["total"], 1)
        scenes = event.get("scenes", 1)
        self.feedback.setProgress(100 * (event.get("number", 1) - 1 + part) / max(scenes, 1))


def _event(line):
    """Return the JSON event in a line, or None."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _quoted(part):
    """Return an argument as one types it in a shell."""
    return f'"{part}"' if " " in part or not part else part


__all__ = ["Cancelled", "EngineError", "Run", "find_engine"]
