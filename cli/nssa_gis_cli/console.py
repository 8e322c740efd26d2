"""What a run shows: a bar, JSON lines, or warnings only; on stderr, and without passwords.

Without a terminal, ``auto`` also prints how many labels are used: a part of the result, on stdout.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import click

from nssa_gis.environment import ignored_settings
from nssa_gis.files import masked
from nssa_gis_cli.tables import data_text, training_event_text

Event = dict[str, Any]
Show = Callable[[Event], None]

#: Between two lines about the steps of a training.
_SECONDS_BETWEEN_LINES = 2


class Interrupted(click.ClickException):
    """The user stopped the run; the message says how to go on."""

    exit_code = 130


def fail(message: str, code: int, *, as_json: bool) -> None:
    """Print the one line of an error."""
    message = masked(message)
    if as_json:
        _json({"event": "error", "message": message, "exit_code": code})
    else:
        click.echo(f"nssa-gis: error: {message}", err=True)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether ``--progress json`` is among the arguments (also if parsing them failed)."""
    return "--progress=json" in argv or ("--progress", "json") in pairwise(argv)


@contextlib.contextmanager
def progress(mode: str) -> Iterator[Show]:
    """Give the callable that shows events in a mode: ``auto``, ``bar``, ``json`` or ``none``."""
    with _shown(mode) as raw:

        def show(event: Event) -> None:
            raw(_masked(event))

        if settings := ignored_settings():
            show(
                {
                    "event": "warning",
                    "message": f"not used from the environment: {', '.join(settings)}; "
                    "the result must not depend on settings of GDAL",
                }
            )
        yield show


@contextlib.contextmanager
def _shown(mode: str) -> Iterator[Show]:
    if mode == "json":
        yield _json
    elif mode == "bar" or (mode == "auto" and sys.stderr.isatty()):
        with _bar() as show:
            yield show
    else:
        yield _warnings_and_data if mode == "auto" else _warnings_only


@contextlib.contextmanager
def training_progress(mode: str) -> Iterator[Show]:
    """Give the callable that shows the events of a training: a line now and then, JSON lines, or warnings only."""
    as_lines = mode == "bar" or (mode == "auto" and sys.stderr.isatty())
    with progress("none" if as_lines else mode) as show_rest:
        shown = 0.0

        def show(event: Event) -> None:
            nonlocal shown
            if not as_lines or event["event"] == "warning":
                show_rest(event)
            elif event["event"] != "step" or time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
                shown = time.monotonic()
                click.echo(training_event_text(event), err=True)

        yield show


@contextlib.contextmanager
def log_on_stderr(*, as_json: bool) -> Iterator[None]:
    """Show what the loggers of ``nssa_gis`` say: decisions that are no events."""
    logger = logging.getLogger("nssa_gis")
    handler = _LogHandler(as_json)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _LogHandler(logging.Handler):
    """Writes to the present stderr: a progress bar replaces it while it is shown."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        message = masked(record.getMessage())
        if self.as_json:
            _json({"event": "log", "logger": record.name, "message": message})
        else:
            click.echo(f"{record.name}: {message}", err=True)


def _masked(event: Event) -> Event:
    """Mask the passwords of addresses in an event, also in the lists of its texts."""

    def safe(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [safe(v) for v in value]
        return masked(value) if isinstance(value, str) else value

    return {key: safe(value) for key, value in event.items()}


def _json(event: Event) -> None:
    # One write per line: lines of a run must not mix with those of another on the same terminal. ASCII, because no
    # encoding of standard error spoils it.
    sys.stderr.write(json.dumps(event, allow_nan=False) + "\n")
    sys.stderr.flush()


def _warnings_only(event: Event) -> None:
    if event["event"] == "warning":
        click.echo(f"nssa-gis: warning: {event['message']}", err=True)


def _warnings_and_data(event: Event) -> None:
    if event["event"] == "data":  # a result, not a complaint: it goes where the table goes
        click.echo(data_text(event))
    _warnings_only(event)


@contextlib.contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        current: list[TaskID] = []

        def begin(text: str, unit: str, total: int, done: int = 0) -> None:
            if current:
                bars.refresh()  # the end of the phase before is shown, however short it was
                bars.remove_task(current[0])
            current[:] = [bars.add_task(text, total=total, completed=done, unit=unit, note="")]

        def show(event: Event) -> None:
            kind = event["event"]
            if kind == "start":
                prefix = f"[{event['number']}/{event['scenes']}] " if "number" in event else ""
                bars.console.print(
                    f"{prefix}{event['scene']}: {event['backend']}", style="dim", markup=False, highlight=False
                )
                begin("Detecting", "tiles", event["tiles"], event["tiles_done"])
            elif kind == "tile":
                bars.update(current[0], completed=event["done"], note=f"{event['detections']} found")
            elif kind == "merge":
                if event["done"] <= 1 or bars.tasks[-1].fields["unit"] != "rows":
                    begin("Merging", "rows", event["total"])
                bars.update(current[0], completed=event["done"], note=f"{event['objects']} objects")
            elif kind == "write":
                begin("Writing", "objects", event["objects"], event["objects"])
            elif kind == "data":
                bars.console.print(data_text(event), markup=False, highlight=False)
            elif kind in ("warning", "error"):
                bars.console.print(f"nssa-gis: {kind}: {event['message']}", markup=False, highlight=False)

        yield show
