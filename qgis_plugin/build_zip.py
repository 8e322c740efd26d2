"""Pack the plugin for upload: ``python qgis_plugin/build_zip.py [ZIP]``, the same bytes from the same sources."""

import sys
import zipfile
from pathlib import Path

PLUGIN = Path(__file__).parent / "nssa_gis_qgis"
#: plugins.qgis.org accepts far more, but this plugin contains no data.
LIMIT = 1_000_000
_KINDS = {".py", ".txt", ".svg", ".ts", ".json", ""}


def files() -> list[Path]:
    """Files that belong in the archive, sorted."""
    found = [p for p in sorted(PLUGIN.rglob("*")) if p.is_file() and not _is_left_out(p.relative_to(PLUGIN))]
    strange = [p for p in found if p.suffix not in _KINDS]
    if strange:
        raise SystemExit(f"does not belong in the plugin: {strange[0]}")
    return found


def _is_left_out(path: Path) -> bool:
    """Skip files made by Python and editors; plugins.qgis.org refuses hidden files."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def build(target: Path) -> int:
    """Write the archive; return its size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            entry = zipfile.ZipInfo(str(path.relative_to(PLUGIN.parent)), (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    size = target.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{target}: {size} bytes are too many")
    return size


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else PLUGIN.parent / "nssa_gis_qgis.zip"
    print(f"{place}: {build(place)} bytes")
    print("\n".join(zipfile.ZipFile(place).namelist()))
