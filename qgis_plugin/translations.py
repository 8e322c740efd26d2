"""Write the ``.ts`` files of the plugin from its sources and a table per language.

``python qgis_plugin/translations.py`` after a change of texts; untranslated ones are listed and marked unfinished.
"""

import ast
import json
from pathlib import Path
from xml.sax.saxutils import escape

PLUGIN = Path(__file__).parent / "nssa_gis_qgis"
#: Class attributes that are shown through ``tr``.
_ATTRIBUTES = ("_title", "_help")
#: Tables whose values are shown through ``tr``.
_TABLES = ("_LABELS", "_FIELDS")
#: Texts of the engine's options that are shown through ``tr``.
_OPTION_TEXTS = ("help", "default_text")


def sources() -> list[str]:
    """Every text that the plugin translates, in the order of files."""
    found = []
    for path in sorted(PLUGIN.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr" and node.args:
                found.append(_text(node.args[0]))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _ATTRIBUTES:
                found.append(_text(node.value))
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in _TABLES:
                values = node.value.values if isinstance(node.value, ast.Dict) else []
                found += [_text(v.elts[0] if isinstance(v, ast.Tuple) else v) for v in values]
    for row in json.loads((PLUGIN / "options.json").read_text(encoding="utf-8")):
        found += [row[key] for key in _OPTION_TEXTS]
    return list(dict.fromkeys(text for text in found if text))


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def ts(language: str, table: dict[str, str]) -> str:
    """Return the text of a ``.ts`` file."""
    rows = ['<?xml version="1.0" encoding="utf-8"?>', "<!DOCTYPE TS>", f'<TS version="2.1" language="{language}">']
    rows += ["<context>", "    <name>NssaGis</name>"]
    for source in sources():
        translation = table.get(source, "")
        state = "" if translation else ' type="unfinished"'
        rows += [
            "    <message>",
            f"        <source>{escape(source)}</source>",
            f"        <translation{state}>{escape(translation)}</translation>",
            "    </message>",
        ]
    return "\n".join([*rows, "</context>", "</TS>", ""])


def main() -> None:
    """Write all languages."""
    from german import GERMAN

    (PLUGIN / "i18n" / "nssa_gis_de.ts").write_text(ts("de", GERMAN), encoding="utf-8")
    for source in sources():
        if source not in GERMAN:
            print("untranslated:", repr(source))
    for source in GERMAN:
        if source not in sources():
            print("unused:", repr(source))


if __name__ == "__main__":
    main()
