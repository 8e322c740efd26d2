import importlib.util
from pathlib import Path

import pytest

from nssa_gis import files as masking
from nssa_gis.files import masked

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
