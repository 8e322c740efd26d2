"""One run per output: a lock file that dies with its process."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from types import TracebackType

from nssa_gis.errors import NssaError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

#: On Windows a locked byte cannot be read by others; this one lies beyond the text about the holder.
_FAR_BYTE = 1 << 20


class OutputLock:
    """Hold the right to write one output.

    The lock is the operating system's (``flock``, or ``msvcrt.locking`` on Windows) on ``<output>.lock``: it
    goes with the process, however that ends, so a file left by a killed run locks nobody out.

    Parameters
    ----------
    output : Path
        The layer to be written; its folder must exist.

    Raises
    ------
    NssaError
        Another live run holds the lock, or the folder cannot be written to.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(output.name + ".lock")
        self._output = output
        self._fd = self._acquire()

    def _acquire(self) -> int:
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise NssaError(
                    f"cannot write to the folder of the output: {self._output} ({error.strerror}); "
                    "choose an existing, writable folder"
                ) from error
            try:
                _lock(fd)
            except BlockingIOError:
                holder = os.read(fd, 200).decode("utf-8", "replace").strip() or "an unknown process"
                os.close(fd)
                raise NssaError(
                    f"another run is writing this output: {self._output} (held by {holder}); "
                    "wait for it or choose another output"
                ) from None
            except OSError as error:
                os.close(fd)
                raise NssaError(f"cannot lock: {self.path} ({error.strerror}); choose a local folder") from error
            # The holder before us may have removed the file between our open and our lock.
            with contextlib.suppress(FileNotFoundError):
                if os.name == "nt" or os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    _sign(fd)
                    return fd
            os.close(fd)

    def release(self) -> None:
        """Give the lock back and remove its file; a second call does nothing."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        if os.name == "nt":  # an open file cannot be removed there
            os.close(fd)
            with contextlib.suppress(OSError):
                self.path.unlink()
        else:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(fd)

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _sign(fd: int) -> None:
    """Write who holds the lock; on a full disk it is held without a name."""
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.write(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _lock(fd: int) -> None:
    """Take an exclusive lock at once or raise BlockingIOError."""
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.lseek(fd, _FAR_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError from error
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
