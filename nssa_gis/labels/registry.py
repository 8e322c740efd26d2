"""Which format a folder is in, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.labels.coco import read_coco
from nssa_gis.labels.dota import read_dota
from nssa_gis.labels.table import Table
from nssa_gis.labels.visdrone import read_visdrone
from nssa_gis.labels.voc import read_voc
from nssa_gis.labels.yolo import read_yolo

#: Reader of each format and how a folder of it is recognised, in the order of the checks.
FORMATS: dict[str, tuple[Callable[[Path, str | None, str | None], Table], str]] = {
    "coco": (read_coco, "instances.json"),
    "visdrone": (read_visdrone, "annotations/*.txt"),
    "dota": (read_dota, "labelTxt"),
    "voc": (read_voc, "Annotations/*.xml"),
    "yolo": (read_yolo, "labels"),
}


def guess_format(folder: Path, annotations: str | None = None) -> str:
    """Tell a folder's format by what lies in it; a JSON named as annotations is COCO's (and AI-TOD's).

    Raises
    ------
    NssaError
        Nothing is known by it.
    """
    if annotations and annotations.lower().endswith(".json"):
        return "coco"
    for name, (_, mark) in FORMATS.items():
        if any(True for _ in folder.glob(mark)):
            return name
    marks = ", ".join(f"{mark} ({name})" for name, (_, mark) in FORMATS.items())
    raise NssaError(f"{folder}: no labels known by their place; looked for {marks}; name the format")


def read_table(
    folder: Path, kind: str | None = None, annotations: str | None = None, images: str | None = None
) -> Table:
    """Read a labelled folder.

    Parameters
    ----------
    folder : Path
        The dataset.
    kind : str, optional
        One of :data:`FORMATS`; by default recognised by the files in the folder.
    annotations, images : str, optional
        Where labels and images lie under it, if not at the format's own places.

    Raises
    ------
    NssaError
        It is not there or not readable.
    UsageError
        An unknown format.
    """
    if not folder.is_dir():
        raise NssaError(f"{folder}: no such folder")
    kind = kind or guess_format(folder, annotations)
    if kind not in FORMATS:
        raise UsageError(f"format {kind!r} is unknown; known: {', '.join(FORMATS)}")
    return FORMATS[kind][0](folder, annotations, images)
