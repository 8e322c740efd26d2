"""How the layer looks: one colour per class, and the QGIS style stored inside a GeoPackage."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from nssa_gis.vector.schema import FIELDS, GeometryKind

#: Okabe and Ito's colour-blind-safe colours (https://jfly.uni-koeln.de/color/) without black, in the order of
#: their contrast to grey roads and green land, so that the first classes of a model are the easiest to see.
PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#D55E00", "#009E73", "#0072B2")

#: Beyond the seventh class the colours repeat with another pen, so that no two of 21 classes look the same.
_PENS = ("solid", "dash", "dot")
#: Of objects without a class, and of classes that a style does not list.
OTHER_COLOUR = "#DDDDDD"
_LINE_MM = "0.46"
_STYLE_NAME = "nssa-gis"


def class_colour(class_id: int) -> str:
    """Colour of a class as ``#RRGGBB``; the same class has the same colour in every layer of a model."""
    return PALETTE[class_id % len(PALETTE)]


def qml(classes: Sequence[tuple[int, str]], geometry: GeometryKind) -> str:
    """QGIS style: outlines coloured by class, field aliases and number formats.

    Written in the form of QGIS 3.22, which QGIS 3.22 to 4 read.

    Parameters
    ----------
    classes : sequence of (class_id, name)
        Entries of the legend, in this order; anything else falls into an entry "other".
    geometry : {"polygon", "point"}

    Returns
    -------
    str
        QML document.
    """
    root = ET.Element(
        "qgis",
        version="3.22.0-Białowieża",
        styleCategories="Symbology|Fields|Forms|AttributeTable",
        labelsEnabled="0",
    )
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr="class",
        enableorderby="0",
        forceraster="0",
        symbollevels="0",
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for key, (class_id, name) in enumerate(classes):
        ET.SubElement(categories, "category", value=name, type="string", label=name, symbol=str(key), render="true")
        _symbol(symbols, key, class_colour(class_id), _pen(class_id), geometry)
    # An empty value is QGIS's "all other values": classes that a later --append brings stay visible.
    other = str(len(classes))
    ET.SubElement(categories, "category", value="", type="string", label="other", symbol=other, render="true")
    _symbol(symbols, len(classes), OTHER_COLOUR, "solid", geometry)
    _field_settings(root)
    ET.SubElement(root, "previewExpression").text = '"class" || \' \' || round("score", 2)'
    ET.SubElement(root, "layerGeometryType").text = "0" if geometry == "point" else "2"
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + ET.tostring(root, encoding="unicode")


def _pen(class_id: int) -> str:
    return _PENS[class_id // len(PALETTE) % len(_PENS)]


def _symbol(parent: ET.Element, key: int, colour: str, pen: str, geometry: GeometryKind) -> None:
    point = geometry == "point"
    symbol = ET.SubElement(
        parent,
        "symbol",
        type="marker" if point else "fill",
        name=str(key),
        alpha="1",
        clip_to_extent="1",
        force_rhr="0",
    )
    layer = ET.SubElement(
        symbol,
        "layer",
        {
            "class": "SimpleMarker" if point else "SimpleFill",
            "enabled": "1",
            "locked": "0",
            "pass": "0",
        },
    )
    settings = {
        "outline_color": f"{_rgb(colour)},255",
        "outline_style": pen,
        "outline_width": _LINE_MM,
        "outline_width_unit": "MM",
        "joinstyle": "miter",
    }
    if point:
        settings |= {"name": "circle", "color": f"{_rgb(colour)},90", "size": "2.2", "size_unit": "MM"}
    else:
        settings |= {"style": "no", "color": f"{_rgb(colour)},0"}
    options = ET.SubElement(layer, "Option", type="Map")
    for name, value in sorted(settings.items()):
        ET.SubElement(options, "Option", name=name, value=value, type="QString")


def _rgb(colour: str) -> str:
    return ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))


def _field_settings(root: ET.Element) -> None:
    config = ET.SubElement(root, "fieldConfiguration")
    aliases = ET.SubElement(root, "aliases")
    for index, field in enumerate(FIELDS, start=1):  # 0 is the GeoPackage's own fid
        entry = ET.SubElement(config, "field", name=field.name, configurationFlags="None")
        if field.decimals is None:
            ET.SubElement(entry, "editWidget", type="TextEdit")
        else:
            widget = ET.SubElement(entry, "editWidget", type="Range")
            options = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
            precision = str(min(field.decimals, 2))
            ET.SubElement(options, "Option", name="Precision", type="int", value=precision)
            ET.SubElement(options, "Option", name="AllowNull", type="bool", value="true")
            ET.SubElement(options, "Option", name="Style", type="QString", value="SpinBox")
        ET.SubElement(aliases, "alias", index=str(index), field=field.name, name=field.alias)


def store_style(gpkg: Path, layer: str, classes: Sequence[tuple[int, str]], geometry: GeometryKind) -> None:
    """Store the default style of a layer in a GeoPackage as QGIS does, in the table ``layer_styles``.

    Parameters
    ----------
    gpkg : Path
        A GeoPackage that nobody else has open.
    layer : str
        Feature table; its geometry column is looked up.
    classes : sequence of (class_id, name)
    geometry : {"polygon", "point"}

    Raises
    ------
    sqlite3.Error
        The file cannot be written.
    """
    connection = sqlite3.connect(gpkg)
    try:
        with connection:
            (column,) = connection.execute(
                "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
            ).fetchone()
            # The table exactly as QGIS 3.22 creates it (QgsOgrProviderMetadata::saveStyle).
            connection.execute(
                'CREATE TABLE IF NOT EXISTS "layer_styles" ("id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, '
                '"f_table_catalog" TEXT(256), "f_table_schema" TEXT(256), "f_table_name" TEXT(256), '
                '"f_geometry_column" TEXT(256), "styleName" TEXT(30), "styleQML" TEXT, "styleSLD" TEXT, '
                '"useAsDefault" BOOLEAN, "description" TEXT, "owner" TEXT(30), "ui" TEXT(30), '
                "\"update_time\" DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
            )
            connection.execute(
                "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, "
                "srs_id) VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"
            )
            connection.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui) "
                "VALUES ('', '', ?, ?, ?, ?, '', 1, 'Detections by class', '', NULL)",
                (layer, column, _STYLE_NAME, qml(classes, geometry)),
            )
    finally:
        connection.close()
