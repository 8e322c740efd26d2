"""Results as JSON files that any program reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def save_json(target: Path, value: Any) -> None:
    """Write a JSON file; NaN and infinity, which JSON does not have, become null."""
    target.write_text(json.dumps(finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by None, in lists and dicts, too."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
