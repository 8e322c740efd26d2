import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nssa_gis.boxes.columns import GridDetections
from nssa_gis.detect.journal import Journal
from nssa_gis.errors import NssaError
from nssa_gis.files import OutputLock

try:
    import resource
except ImportError:  # Windows
    resource = None

MARK = {"scene": {"path": "a.tif", "bytes": 3}, "options": {"confidence": 0.3, "classes": None}, "version": "1"}


def some(n, seed=0):
    rng = np.random.default_rng(seed)
    return GridDetections.of(
        rng.random((n, 4)) * 1e6,
        rng.random(n),
        rng.integers(0, 9, n),
        rng.integers(0, 2**40, n),
        rng.integers(0, 16, n),
    )


def same(one, other):
    return all(
        np.array_equal(getattr(one, f), getattr(other, f)) and getattr(one, f).dtype == getattr(other, f).dtype
        for f in GridDetections.__dataclass_fields__
    )


def filled(path, sizes=(5, 0, 17)):
    journal = Journal.create(path, MARK, {"mode": "new"})
    for row, n in enumerate(sizes):
        journal.append(2 * row, some(n, row), tiles=row + 1)
    journal.close()
    return path.read_bytes()


def test_rows_come_back_as_they_went_in(tmp_path):
    path = tmp_path / "j"
    filled(path)
    journal = Journal.resume(path, MARK)
    assert (journal.last_row, journal.tiles, journal.detections) == (4, 6, 22)
    assert journal.info == {"mode": "new"}
    rows = list(journal.rows())
    assert [row for row, _ in rows] == [0, 2, 4]
    assert all(same(found, some(n, i)) for i, ((_, found), n) in enumerate(zip(rows, (5, 0, 17), strict=True)))
    journal.append(5, some(2), 1)
    assert len(list(journal.rows())) == 4
    journal.close()


def test_a_header_that_is_damaged_is_refused(tmp_path):
    path = tmp_path / "j"
    for checksum in (0, 2**32 - 1):  # below and above the right one
        filled(path)
        data = bytearray(path.read_bytes())
        data[16:20] = checksum.to_bytes(4, "little")
        path.write_bytes(data)
        with pytest.raises(NssaError, match="not a journal"):
            Journal.resume(path, MARK)
        path.unlink()


def test_rows_must_ascend(tmp_path):
    journal = Journal.create(tmp_path / "j", MARK)
    journal.append(3, some(1), 1)
    with pytest.raises(ValueError, match="after row"):
        journal.append(3, some(1), 1)


def test_every_truncation_keeps_the_whole_rows(tmp_path):
    path = tmp_path / "j"
    content = filled(path)
    lengths = []
    for size in (*range(0, len(content), 9), len(content)):
        path.write_bytes(content[:size])
        try:
            journal = Journal.resume(path, MARK)
        except NssaError as error:
            assert "not a journal" in str(error)
            continue
        lengths.append(journal.last_row)
        for i, (_, found) in enumerate(journal.rows()):
            assert same(found, some((5, 0, 17)[i], i))
        journal.append(9, some(3), 1)  # goes on behind the last whole row
        journal.close()
        again = Journal.resume(path, MARK)
        assert again.last_row == 9
        again.close()
    assert lengths == sorted(lengths)
    assert set(lengths) == {-1, 0, 2, 4}


@settings(deadline=None)
@given(st.data())
def test_damage_never_gives_wrong_rows(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "j"
    content = bytearray(filled(path))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        journal = Journal.resume(path, MARK)
    except NssaError:
        return
    for i, (row, found) in enumerate(journal.rows()):
        assert row == 2 * i
        assert same(found, some((5, 0, 17)[i], i))
    journal.close()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_file_is_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("junk") / "j"
    path.write_bytes(content)
    with pytest.raises(NssaError, match="not a journal of nssa-gis"):
        Journal.resume(path, MARK)


def test_other_work_is_refused_and_what_differs_named(tmp_path):
    filled(tmp_path / "j")
    other = {**MARK, "options": {"confidence": 0.5, "classes": ["car"]}}
    with pytest.raises(NssaError) as caught:
        Journal.resume(tmp_path / "j", other)
    assert "confidence (then 0.3, now 0.5)" in str(caught.value)
    assert "classes (then unset, now ['car'])" in str(caught.value)
    assert "version" not in str(caught.value)


def test_full_disk_keeps_what_was_finished(tmp_path, monkeypatch):
    path = tmp_path / "j"
    journal = Journal.create(path, MARK)
    journal.append(0, some(4), 1)
    real = journal._file

    class Full:
        def __getattr__(self, name):
            return getattr(real, name)

        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(NssaError, match=r"disk is full.*--resume"):
        journal.append(1, some(400), 1)
    monkeypatch.setattr(journal, "_file", real)
    journal.close()
    again = Journal.resume(path, MARK)
    assert again.last_row == 0
    assert same(next(again.rows())[1], some(4))


@pytest.mark.skipif(resource is None, reason="needs limits on file sizes")
def test_a_disk_full_at_the_start_leaves_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # every write fails
    try:
        with pytest.raises(NssaError, match="cannot be written"):
            Journal.create(tmp_path / "j", MARK)
        with OutputLock(tmp_path / "a.gpkg"), pytest.raises(NssaError, match="held by an unknown process"):
            OutputLock(tmp_path / "a.gpkg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_removed_when_done(tmp_path):
    journal = Journal.create(tmp_path / "j", MARK)
    journal.remove()
    journal.close()
    assert not (tmp_path / "j").exists()
