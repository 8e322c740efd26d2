"""Events of a run: plain dicts that one callable receives.

Every event has ``event``, one of :data:`EVENTS`; the other keys are JSON values:

========= ==========================================================================================
event     keys
========= ==========================================================================================
start     scene, output, model, backend, width, height (working px), gsd (m/px or null), scale,
          tile, overlap, tiles, tiles_done (from an earlier run)
data      images, boxes, ignored (regions), dropped (labels), unused (boxes by category that
          belongs to no class): what an evaluation uses
tile      done, total (tiles), detections (raw, so far), seconds
merge     done, total (tile rows), objects
write     objects, output
warning   message
error     message, exit_code
done      every attribute of :class:`nssa_gis.detect.result.DetectResult`
log       logger, message: details for developers (only with ``--debug``)
========= ==========================================================================================

``batch`` adds ``scene``, ``number`` and ``scenes`` to each event, but not to warnings that concern several scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: The names of all events.
EVENTS = ("start", "data", "tile", "merge", "write", "warning", "error", "done", "log")

Event = dict[str, Any]
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore every event."""


class Reporter:
    """Send events and remember the warnings.

    Parameters
    ----------
    progress : callable, optional
        Receives each event; an exception in it ends the run.

    Attributes
    ----------
    warnings : list of str
        The warnings, each text once.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._send = progress or silent
        self.warnings: list[str] = []

    def __call__(self, event: str, **values: Any) -> None:
        """Send one event."""
        self._send({"event": event, **values})

    def warn(self, message: str) -> None:
        """Send a warning, unless the same was sent before."""
        if message not in self.warnings:
            self.warnings.append(message)
            self("warning", message=message)
