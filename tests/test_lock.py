import errno
import os
import signal
import subprocess
import sys

import pytest

from nssa_gis.errors import NssaError
from nssa_gis.files import OutputLock

HOLD = (
    "import sys, time; from pathlib import Path; from nssa_gis.files import OutputLock\n"
    "lock = OutputLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_second_holder_is_refused_and_told_who_has_it(tmp_path):
    output = tmp_path / "a.gpkg"
    with OutputLock(output):
        with pytest.raises(NssaError, match=rf"another run is writing this output.*process {os.getpid()}"):
            OutputLock(output)
        OutputLock(tmp_path / "b.gpkg").release()
    assert list(tmp_path.iterdir()) == []
    OutputLock(output).release()


def test_lock_of_a_killed_process_is_free(tmp_path):
    output = tmp_path / "a.gpkg"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(output)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(NssaError, match=f"process {holder.pid}"):
            OutputLock(output)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert (tmp_path / "a.gpkg.lock").exists()
    OutputLock(output).release()
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_missing(tmp_path):
    with pytest.raises(NssaError, match="choose an existing, writable folder"):
        OutputLock(tmp_path / "no" / "a.gpkg")


@pytest.mark.skipif(os.name != "posix", reason="flock is POSIX")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    def refused(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refused)
    with OutputLock(tmp_path / "a.gpkg") as lock:
        assert not lock.supported
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_lock_file_of_another_user_is_named(tmp_path):
    (tmp_path / "a.gpkg.lock").mkdir()  # cannot be opened, whoever runs the test
    with pytest.raises(NssaError, match=r"the lock file .*a\.gpkg\.lock cannot be opened"):
        OutputLock(tmp_path / "a.gpkg")
