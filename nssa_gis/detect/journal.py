"""The journal: the detections of a run so far, on disk, so that an interrupted run can be resumed.

One file beside the output, ``<output>.journal``. It starts with a header (JSON: the fingerprint of scene,
model and options) and grows by one checksummed block per finished row of tiles. A block that was being written when
the process died fails its checksum and is cut off; everything before it is good.

===========  ==================================================================================
bytes        content
===========  ==================================================================================
8            ``NSSAJRN1``
12           header length (uint64), CRC-32 of the header (uint32)
...          header, UTF-8 JSON
per row      row (int64), tiles (int64), detections (int64), CRC-32 (uint32) of these and the payload
             payload: boxes (N, 4) float64, scores float32, labels int16, tile int64, cut uint8
===========  ==================================================================================

All numbers are little-endian.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write, beside

_MAGIC = b"NSSAJRN1"
_HEAD = struct.Struct("<QI")
_BLOCK = struct.Struct("<qqqI")
_MAX_HEADER = 1 << 24
#: File dtype and columns of each array of a block, in order.
_COLUMNS = (
    ("boxes", "<f8", 4),
    ("scores", "<f4", 1),
    ("labels", "<i2", 1),
    ("tile", "<i8", 1),
    ("cut", "u1", 1),
)
_ROW_BYTES = sum(np.dtype(dtype).itemsize * width for _, dtype, width in _COLUMNS)
#: A killed process loses nothing that was written; a lost machine loses at most this many seconds of work.
_SYNC_SECONDS = 5.0


def journal_path(output: Path) -> Path:
    """Return where the journal of an output lies."""
    return beside(output, ".journal")


class Journal:
    """An open journal, to which rows are appended in ascending order.

    Use :meth:`create` or :meth:`resume`. The caller holds the output's lock.

    Attributes
    ----------
    path : Path
        The file.
    info : dict
        What :meth:`create` was given as ``info``.
    last_row : int
        The last finished row of tiles, -1 before the first.
    tiles, detections : int
        Number of processed tiles and of detections in them, in all finished rows.
    """

    def __init__(self, path: Path, file: BinaryIO, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info
        self.last_row = -1
        self.tiles = 0
        self.detections = 0
        self._file = file
        self._start = self._end = file.tell()
        self._synced = time.monotonic()

    @classmethod
    def create(cls, path: Path, fingerprint: dict[str, Any], info: dict[str, Any] | None = None) -> Journal:
        """Start a journal, in place of any that lies there.

        Parameters
        ----------
        path : Path
            See :func:`journal_path`.
        fingerprint : dict
            JSON values that show a later run whether it would do the same work.
        info : dict, optional
            JSON values that may differ in a later run.

        Raises
        ------
        NssaError
            The file cannot be written.
        """
        header = json.dumps({"fingerprint": fingerprint, "info": info or {}}, sort_keys=True).encode()
        # Whole or not at all: a run that dies here must not leave a file that is no journal.
        with atomic_write(path) as partial:
            partial.write_bytes(_MAGIC + _HEAD.pack(len(header), zlib.crc32(header)) + header)
        try:
            journal = open(path, "r+b")
        except OSError as error:
            raise _write_error(path, error) from error
        journal.seek(0, os.SEEK_END)
        return cls(path, journal, info or {})

    @classmethod
    def resume(cls, path: Path, fingerprint: dict[str, Any]) -> Journal:
        """Open the journal of an interrupted run of the same work.

        A damaged tail is cut off.

        Raises
        ------
        NssaError
            The file is missing, is no journal, or belongs to other work; the message names what differs.
        """
        try:
            file = open(path, "r+b")
        except OSError as error:
            raise NssaError(f"cannot open the journal: {path} ({error.strerror})") from error
        try:
            header = _read_header(path, file)
            different = _differences(header["fingerprint"], fingerprint)
            if different:
                raise NssaError(
                    f"the interrupted run was another one: {path} differs in {'; '.join(different)}; "
                    "repeat it with the same inputs, or start afresh with --overwrite"
                )
            journal = cls(path, file, header["info"])
            journal._scan()
        except BaseException:
            file.close()
            raise
        return journal

    def append(self, row: int, found: GridDetections, tiles: int) -> None:
        """Record a finished row of tiles.

        Parameters
        ----------
        row : int
            Above ``last_row``.
        found : GridDetections
            Everything found in the row's tiles, before merging.
        tiles : int
            Number of processed tiles in the row.

        Raises
        ------
        NssaError
            The disk is full or failed; the journal stays valid up to the row before.
        """
        if row <= self.last_row:
            raise ValueError(f"row {row} comes after row {self.last_row}")
        payload = b"".join(
            np.ascontiguousarray(getattr(found, name), np.dtype(dtype)).tobytes() for name, dtype, _ in _COLUMNS
        )
        block = _seal(row, tiles, len(found), payload)
        try:
            self._file.seek(self._end)
            self._file.write(block)
            self._file.flush()
            if time.monotonic() - self._synced >= _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise _write_error(self.path, error) from error
        self._advance(row, tiles, len(found), len(block))

    def rows(self) -> Iterator[tuple[int, GridDetections]]:
        """Read the finished rows again, one in memory at a time, in ascending order."""
        self._file.seek(self._start)
        while self._file.tell() < self._end:
            block = _read_block(self._file, self._end)
            if block is None:
                raise NssaError(f"the journal changed while it was read: {self.path}; start afresh with --overwrite")
            row, _, n, payload = block
            yield row, _unpack(n, payload)

    def close(self) -> None:
        """Force the data to the disk and close the file; a second call does nothing."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.flush()
                os.fsync(self._file.fileno())
            with contextlib.suppress(OSError):
                self._file.close()

    def remove(self) -> None:
        """Close and delete the file, because the work is done or there was none."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _scan(self) -> None:
        """Find the finished rows; cut off what is damaged."""
        size = os.fstat(self._file.fileno()).st_size
        while (block := _read_block(self._file, size)) is not None:
            row, tiles, n, payload = block
            if row <= self.last_row:
                break
            self._advance(row, tiles, n, _BLOCK.size + len(payload))
        if self._end < size:
            self._file.truncate(self._end)

    def _advance(self, row: int, tiles: int, detections: int, size: int) -> None:
        self.last_row = row
        self.tiles += tiles
        self.detections += detections
        self._end += size


def _seal(row: int, tiles: int, n: int, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(struct.pack("<qqq", row, tiles, n)))
    return _BLOCK.pack(row, tiles, n, checksum) + payload


def _read_block(file: BinaryIO, end: int) -> tuple[int, int, int, bytes] | None:
    """Read one block that ends at ``end`` or before; None if there is no whole and sound one."""
    head = file.read(_BLOCK.size)
    if len(head) < _BLOCK.size:
        return None
    row, tiles, n, _ = _BLOCK.unpack(head)
    # The size is checked first: a damaged one would allocate any amount of memory.
    if row < 0 or tiles < 0 or n < 0 or n * _ROW_BYTES > end - file.tell():
        return None
    payload = file.read(n * _ROW_BYTES)
    return (row, tiles, n, payload) if head + payload == _seal(row, tiles, n, payload) else None


def _unpack(n: int, payload: bytes) -> GridDetections:
    columns = {}
    offset = 0
    for name, dtype, width in _COLUMNS:
        columns[name] = np.frombuffer(payload, dtype, n * width, offset)
        offset += columns[name].nbytes
    return GridDetections.of(*columns.values())


def _read_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    broken = NssaError(f"not a journal of nssa-gis: {path}; start afresh with --overwrite")
    head = file.read(len(_MAGIC) + _HEAD.size)
    if len(head) < len(_MAGIC) + _HEAD.size or not head.startswith(_MAGIC):
        raise broken
    length, checksum = _HEAD.unpack(head[len(_MAGIC) :])
    text = file.read(length) if length <= _MAX_HEADER else b""
    if len(text) != length or zlib.crc32(text) != checksum:
        raise broken
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise broken from None
    if not isinstance(header, dict) or not all(isinstance(header.get(k), dict) for k in ("fingerprint", "info")):
        raise broken
    return header


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Describe each differing entry, for people; nested dicts (the options) entry by entry."""
    found = []
    for key in sorted(set(old) | set(new)):
        then, now = old.get(key), new.get(key)
        if isinstance(then, dict) and isinstance(now, dict):
            found += _differences(then, now)
        elif then != now:
            found.append(f"{key} (then {_short(then)}, now {_short(now)})")
    return found


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:18]}...{text[-18:]}"


def _write_error(path: Path, error: OSError) -> NssaError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NssaError(f"the disk is full: {path}; free some space and continue with --resume")
    return NssaError(f"cannot write the journal: {path} ({error.strerror or error})")
