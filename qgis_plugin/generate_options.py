"""Write the table of engine options that the plugin makes its parameters from.

``python qgis_plugin/generate_options.py`` after a change of the options of ``detect``.
"""

import json
from pathlib import Path

from nssa_gis.detect.options import options_table

TARGET = Path(__file__).parent / "nssa_gis_qgis" / "options.json"


def text() -> str:
    """Return the table as the file holds it."""
    return json.dumps(options_table(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
    print(TARGET)
