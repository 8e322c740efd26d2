import errno
import importlib.util
import os
from pathlib import Path

import pytest

from nssa_gis import files as masking
from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write, check_folder, masked, remove_leftovers

PLUGIN = Path(__file__).parents[1] / "qgis_plugin" / "nssa_gis_qgis" / "masking.py"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/vsicurl/https://ann:pa5s@host.org/x.tif", "/vsicurl/https://***@host.org/x.tif"),
        ("https://store.org/x.tif?sp=r&sig=aB%2Fc&se=2027", "https://store.org/x.tif?sp=r&sig=***&se=2027"),
        ("PG:dbname=x password='a b' host=h", "PG:dbname=x password=*** host=h"),
        ("https://h.org/x.tif?subscription-key=77ab&v=2", "https://h.org/x.tif?subscription-key=***&v=2"),
        ("/vsicurl?url=https%3A%2F%2Fann%3Apa5s%40h.org%2Fx.tif", "/vsicurl?url=https%3A%2F%2F***@h.org%2Fx.tif"),
        ("keyword=roof; code=3", "keyword=roof; code=3"),
        ("tile=640; aoi=/data/town.gpkg", "tile=640; aoi=/data/town.gpkg"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert masked(text) == shown


def test_the_plugin_has_the_same_rules():
    spec = importlib.util.spec_from_file_location("plugin_masking", PLUGIN)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    assert (theirs._LOGIN, theirs._SECRET) == (masking._LOGIN, masking._SECRET)
    text = "https://me:pw@h/x?sig=1 password='a'"
    assert theirs.masked(text) == masked(text)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert partial.name == "a.txt" and path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_all_files_of_the_block_are_moved_and_stale_ones_removed(tmp_path):
    for name in ("a.shp", "a.dbf", "a.qix"):
        (tmp_path / name).write_text("old")
    with atomic_write(
        tmp_path / "a.shp", stale=[tmp_path / "a.dbf", tmp_path / "a.qix", tmp_path / "a.sbn"]
    ) as partial:
        partial.write_text("new")
        partial.with_suffix(".dbf").write_text("new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.shp": "new", "a.dbf": "new"}


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(NssaError, match=r"a\.txt: appeared meanwhile"), atomic_write(path, replace=False) as partial:
        partial.write_text("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs" and os.listdir(tmp_path) == ["a.txt"]


def test_a_symbolic_link_stays(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a.txt")
    with atomic_write(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "a.txt").read_text() == "new"


def test_what_cannot_be_written_is_told_in_one_line(tmp_path):
    with pytest.raises(NssaError, match=r"no/a\.txt: cannot be written: .* does not exist"):
        check_folder(tmp_path / "no" / "a.txt")
    with pytest.raises(NssaError, match=r"a\.txt: cannot be written \(two lines\)"), atomic_write(tmp_path / "a.txt"):
        raise OSError("two\nlines")
    with pytest.raises(NssaError, match=r"the disk is full: .*a\.txt"), atomic_write(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_leftovers_of_one_file_are_removed(tmp_path):
    for name in (".a.txt.partial-1-x", ".a.txt.partial-2-y", ".b.txt.partial-1-x", "a.txt.partial-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("half")
    remove_leftovers(tmp_path / "a.txt")
    assert sorted(os.listdir(tmp_path)) == [".b.txt.partial-1-x", "a.txt.partial-1"]
