"""Which format a folder is in, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.labels.coco import ROBOFLOW, read_coco
from nssa_gis.labels.dota import read_dota
from nssa_gis.labels.folders import IMAGES, PARTS, files_below, is_data, told_parts
from nssa_gis.labels.plausibility import in_stored_frame
from nssa_gis.labels.table import Entry, Table
from nssa_gis.labels.tally import Tally
from nssa_gis.labels.visdrone import read_visdrone
from nssa_gis.labels.voc import read_voc
from nssa_gis.labels.yolo import read_yolo


@dataclass(frozen=True)
class Format:
    """How a format is read and recognised.

    Attributes
    ----------
    read : callable
        Takes the folder and the places of labels and images.
    marks : tuple of str
        Files or folders of which a folder of this format has one; ``folder/*.txt`` is a folder with such files.
    beside : str
        Suffix of label files that may lie beside their images; empty if they never do.
    clip : bool
        Boxes are cut to the image, as the format's own tools do.
    sizes : bool
        Boxes are written as corner and size.
    """

    read: Callable[[Path, str | None, str | None], Table]
    marks: tuple[str, ...]
    beside: str = ""
    clip: bool = False
    sizes: bool = False

    def recognises(self, folder: Path) -> bool:
        """Whether a folder looks like one of this format."""
        for place, _, suffix in (mark.partition("/*") for mark in self.marks):
            found = folder / place
            if found.exists() if not suffix else found.is_dir() and files_below(found, suffix):
                return True
        if not self.beside:
            return False
        files = [path for path in folder.iterdir() if is_data(path, folder)]
        images = {path.stem.lower() for path in files if path.suffix.lower() in IMAGES}
        return any(path.suffix.lower() == self.beside and path.stem.lower() in images for path in files)


#: The formats, in the order in which they are looked for.
FORMATS = {
    "coco": Format(read_coco, ("instances.json", ROBOFLOW), sizes=True),
    "visdrone": Format(read_visdrone, ("annotations/*.txt",), clip=True, sizes=True),
    "dota": Format(read_dota, ("labelTxt",), clip=True),
    "voc": Format(read_voc, ("Annotations/*.xml",), ".xml"),
    "yolo": Format(read_yolo, ("labels",), ".txt"),
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
    for name, kind in FORMATS.items():
        if kind.recognises(folder):
            return name
    marks = ", ".join(f"{kind.marks[0]} ({name})" for name, kind in FORMATS.items())
    raise NssaError(f"{folder}: no labels known by their place; looked for {marks}; name the format")


def read_table(
    folder: Path, kind: str | None = None, annotations: str | None = None, images: str | None = None
) -> Table:
    """Read a labelled folder, or one whose parts (``train``, ``valid``...) are labelled folders.

    Parameters
    ----------
    folder : Path
        The dataset.
    kind : str, optional
        One of :data:`FORMATS`; by default recognised by the files in the folder.
    annotations, images : str, optional
        Where labels and images lie under it, if not at the format's own places.

    Returns
    -------
    Table
        Boxes in the pixels of the files as they are stored; see
        :func:`nssa_gis.labels.plausibility.in_stored_frame`.

    Raises
    ------
    NssaError
        It is not there or not readable, or its labels cannot be right.
    UsageError
        An unknown format.
    """
    if not folder.is_dir():
        raise NssaError(f"{folder}: no such folder")
    if kind is not None and kind not in FORMATS:
        raise UsageError(f"format {kind!r} is unknown; known: {', '.join(FORMATS)}")
    parts = [] if annotations or images else _parts(folder, kind)
    if parts:
        return _together(folder, [(part.name, read_table(part, kind)) for part in parts])
    chosen = FORMATS[kind or guess_format(folder, annotations)]
    return in_stored_frame(folder, chosen.read(folder, annotations, images), clip=chosen.clip, sizes=chosen.sizes)


def read_additions(folder: Path, annotations: str, images: str | None, names: Collection[str]) -> Table:
    """Read a COCO JSON that adds to the labels of a folder; its boxes are brought to the files as the folder's are.

    Parameters
    ----------
    folder : Path
        The dataset.
    annotations : str
        The JSON file, under ``folder`` (or absolute).
    images : str or None
        Folder of the images, under ``folder``.
    names : collection of str
        Images of the dataset; labels of others are counted as dropped.

    Raises
    ------
    NssaError
        As :func:`read_table`; or none of its images is of the dataset.
    """
    table, tally = read_coco(folder, annotations, images), Tally()
    known = tuple(entry for entry in table.entries if entry.name in names)
    if not known:
        raise NssaError(f"{annotations}: names no image of {folder}")
    for entry in table.entries:
        if entry.name not in names:
            tally.drop("their image is not in the dataset", entry.name, len(entry.boxes) + len(entry.ignore))
    table = replace(table, entries=known, dropped=(*table.dropped, *tally.dropped))
    return in_stored_frame(folder, table, clip=False, sizes=True)


def _parts(folder: Path, kind: str | None) -> list[Path]:
    """Labelled folders in a folder that is none itself, as Roboflow exports them."""
    formats = list(FORMATS.values()) if kind is None else [FORMATS[kind]]
    if any(known.recognises(folder) for known in formats):
        return []
    below = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.lower() in PARTS)
    return [path for path in below if any(known.recognises(path) for known in formats)]


def _together(folder: Path, parts: Sequence[tuple[str, Table]]) -> Table:
    """Join the tables of several parts; categories go by name."""
    names = tuple(dict.fromkeys(name for _, table in parts for name in table.categories))
    entries: list[Entry] = []
    for part, table in parts:
        index = np.array([*(names.index(name) for name in table.categories), -1], np.int64)
        for entry in table.entries:
            of_region = None if entry.ignore_categories is None else index[entry.ignore_categories]
            entries.append(
                replace(
                    entry,
                    name=f"{part}/{entry.name}",
                    categories=index[entry.categories],
                    ignore_categories=of_region,
                )
            )
    dropped = tuple(item for _, table in parts for item in table.dropped)
    notes = tuple(note for _, table in parts for note in table.notes)
    joined = f"{folder}: {told_parts(part for part, _ in parts)}"
    return Table(names, tuple(entries), dropped, (joined, *notes) if len(parts) > 1 else notes)
