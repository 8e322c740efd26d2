import sqlite3
from xml.etree import ElementTree as ET

import pytest

from nssa_gis.vector.schema import FIELDS, records
from nssa_gis.vector.style import PALETTE, class_colour, qml
from nssa_gis.vector.target import inspect_target
from nssa_gis.vector.writer import write_layer

CLASSES = [(0, "car"), (2, 'boat & <"raft">')]


@pytest.mark.parametrize(
    ("geometry", "kind", "layer"), [("polygon", "fill", "SimpleFill"), ("point", "marker", "SimpleMarker")]
)
def test_qml(geometry, kind, layer):
    root = ET.fromstring(qml(CLASSES, geometry))
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    categories = renderer.findall("categories/category")
    assert [c.get("value") for c in categories] == ["car", 'boat & <"raft">', ""]
    symbols = renderer.findall("symbols/symbol")
    assert [s.get("name") for s in symbols] == [c.get("symbol") for c in categories]
    assert {s.get("type") for s in symbols} == {kind}
    assert {s.find("layer").get("class") for s in symbols} == {layer}
    settings = {o.get("name"): o.get("value") for o in symbols[1].iterfind("layer/Option/Option")}
    red, green, blue = (int(class_colour(2)[i : i + 2], 16) for i in (1, 3, 5))
    assert settings["outline_color"] == f"{red},{green},{blue},255"
    assert (settings["outline_width"], settings["outline_width_unit"]) == ("0.46", "MM")
    if geometry == "polygon":
        assert settings["style"] == "no"
    assert [a.get("field") for a in root.iterfind("aliases/alias")] == [f.name for f in FIELDS]


def test_colours_of_21_classes_differ_with_their_pens():
    root = ET.fromstring(qml([(k, str(k)) for k in range(21)], "polygon"))
    looks = set()
    for symbol in root.iterfind("renderer-v2/symbols/symbol"):
        settings = {o.get("name"): o.get("value") for o in symbol.iterfind("layer/Option/Option")}
        looks.add((settings["outline_color"], settings["outline_style"]))
    assert len(looks) == 22
    assert class_colour(len(PALETTE)) == PALETTE[0]


def test_stored_style_lists_the_classes_found(tmp_path, frame, info, detections):
    found = detections(30)
    found = found.take(found.labels == 2)
    target = inspect_target(tmp_path / "a.gpkg", frame)
    write_layer([records(found, frame, info)], target, info)
    with sqlite3.connect(tmp_path / "a.gpkg") as db:
        rows = db.execute(
            "SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, useAsDefault, styleQML "
            "FROM layer_styles"
        ).fetchall()
    assert len(rows) == 1 and rows[0][:5] == ("", "", "a", "geom", 1)
    values = [c.get("value") for c in ET.fromstring(rows[0][5]).iter("category")]
    assert values == ["boat", ""]
