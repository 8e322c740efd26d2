"""The log of a training, ``log.jsonl``: one JSON object for each event. Tables and curves are made from it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write, make_folder

#: Name of the log in a run folder.
LOG_NAME = "log.jsonl"


class TrainingLog:
    """Writes events; the file is opened with the first one, so a run that is refused leaves no file.

    Every line is written before the next step begins, so a checkpoint never contains a step that the log lacks.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced unless :meth:`go_on` was called.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._step: int | None = None
        self._handle: IO[str] | None = None

    def go_on(self, step: int) -> None:
        """Keep the events up to a step; the steps of a killed run after its checkpoint are repeated."""
        self._step = step

    def write(self, event: dict[str, Any]) -> str:
        """Append an event and return its line; numbers that JSON does not have become null."""
        if self._handle is None:
            make_folder(self.path.parent, "give another folder for the run (--run)")
            if self._step is not None and self.path.is_file():
                _cut(self.path, self._step)
            mode = "w" if self._step is None else "a"
            self._handle = open(self.path, mode, encoding="utf-8", buffering=1)  # 1: write each line at once
        line = json.dumps(json_values(event), allow_nan=False)
        self._handle.write(line + "\n")
        return line

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            self._handle.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the events of a log; the last line may be incomplete after a kill.

    Raises
    ------
    NssaError
        Unreadable, or not a training log.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NssaError(f"{path}: no readable training log ({getattr(error, 'strerror', None) or error})") from None
    events = []
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or "event" not in event:
                raise ValueError("not an event")
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise NssaError(f"{path}: line {number} is not of a training log; give a run folder or its log") from None
        events.append(event)
    return events


@dataclass(frozen=True)
class LoggedRun:
    """The log of one run: its ``name``, ``path`` and ``events``."""

    name: str
    path: Path
    events: list[dict[str, Any]]


def read_runs(runs: Sequence[Path]) -> list[LoggedRun]:
    """Read the logs of run folders, or log files; each run is named by the end of its path that no other has.

    Raises
    ------
    NssaError
        A log is missing or damaged.
    """
    logs = [run / LOG_NAME if run.is_dir() else run for run in runs]
    return [LoggedRun(name, log, read_log(log)) for log, name in zip(logs, _names(logs), strict=True)]


def _names(logs: Sequence[Path]) -> list[str]:
    stems = [log.resolve().parent if log.name == LOG_NAME else log.resolve().with_suffix("") for log in logs]
    for depth in range(1, max((len(stem.parts) for stem in stems), default=0) + 1):
        names = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(names)) == len(set(stems)):
            return names
    return [str(stem) for stem in stems]


def _cut(path: Path, step: int) -> None:
    """Drop the events after a step, atomically."""
    kept = [event for event in read_log(path) if event.get("step", 0) <= step]
    with atomic_write(path) as partial:
        partial.write_text("".join(json.dumps(json_values(event)) + "\n" for event in kept), encoding="utf-8")


def json_values(value: Any) -> Any:
    """Replace numbers that JSON does not know by None, also in dicts."""
    if isinstance(value, dict):
        return {k: json_values(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
