"""Standard output and standard error that cannot end a run: closed, full, or without the letters of a name."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from nssa_gis.errors import NssaError


def make_safe() -> None:
    """Replace the streams of this process: what cannot be printed is escaped, and a lost message ends no run."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would get its number, and libraries would print into that file
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _safe(sys.stdout, _Results), _safe(sys.stderr, _Messages)


def _safe(stream: TextIO | None, kind: type[_Messages]) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    return kind(stream.buffer, stream.encoding, "backslashreplace", line_buffering=True)


class _Messages(io.TextIOWrapper):
    """Standard error: what cannot be written is dropped, and the run goes on."""

    def write(self, text: str, /) -> int:
        self._try(lambda: super(_Messages, self).write(text))
        return len(text)

    def flush(self) -> None:
        self._try(super().flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None: ...


class _Results(_Messages):
    """Standard output: what was asked for and cannot be written is an error, told once."""

    told = False

    def _failed(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):  # the reader has enough
            raise error
        if not self.told:
            self.told = True
            raise NssaError(f"standard output cannot be written ({error.strerror}); the files of this run are complete")
