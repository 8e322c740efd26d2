"""Folders of images and label files as people have them: which image belongs to which label file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from nssa_gis.errors import NssaError
from nssa_gis.labels.tally import NO_IMAGE, Tally

#: Image files, by suffix.
IMAGES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".img", ".ntf", ".gif"))
#: What systems and programs leave in folders, besides all names that begin with a dot (``._a.jpg`` of macOS,
#: ``.ipynb_checkpoints``).
_LEFT_BEHIND = frozenset(("__macosx", "thumbs.db", "desktop.ini", "@eadir"))
#: Names of the parts of a dataset.
PARTS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))


def told_parts(parts: Iterable[str]) -> str:
    """Say that parts of a dataset are used together."""
    return f"its parts {', '.join(parts)} are read together; give one of these folders to use it alone"


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """Give the files of a folder and its folders that have one of these suffixes in any case, sorted.

    Hidden files and what systems leave behind are no data.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and is_data(path, folder) and path.is_file()
    )


def is_data(path: Path, folder: Path) -> bool:
    """Whether no part of a path below a folder is hidden or left behind by a system."""
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") or part.lower() in _LEFT_BEHIND for part in parts)


@dataclass(frozen=True)
class Pair:
    """An image and its label file.

    Attributes
    ----------
    image : Path
        The image.
    name : str
        Its path below the folder of the images, with ``/``.
    labels : Path or None
        The label file; None without one.
    """

    image: Path
    name: str
    labels: Path | None


def paired(images: Path, labels: Path, suffix: str) -> tuple[list[Pair], list[Path]]:
    """Find the label file of each image: the one of the same path and name, whatever the case of its letters.

    Where the folders are arranged in different ways, names decide that are there once on both sides.

    Parameters
    ----------
    images, labels : Path
        Folders of the images and of the label files; may be the same.
    suffix : str
        Of the label files.

    Returns
    -------
    pairs : list of Pair
        By path of the image.
    left : list of Path
        Label files that belong to no image.

    Raises
    ------
    NssaError
        There is no image, or two images of one folder would share a label file.
    """
    pictures = files_below(images, *IMAGES)
    if not pictures:
        raise NssaError(f"{images}: no images there")
    files = {_key(path, labels): path for path in files_below(labels, suffix)}
    by_name = _once(files.values())
    once = _once(pictures)
    own: dict[str, Path] = {}
    for path in pictures:
        key = _key(path, images)
        if key in own:
            raise NssaError(f"{path.parent}: {own[key].name} and {path.name} would share one label file")
        own[key] = path
    pairs = []
    for key, path in own.items():
        stem = path.stem.lower()
        found = files.get(key) or (by_name.get(stem) if stem in once else None)
        pairs.append(Pair(path, path.relative_to(images).as_posix(), found))
    used = {pair.labels for pair in pairs}
    return pairs, [path for path in files.values() if path not in used]


def labelled(images: Path, labels: Path, suffix: str, tally: Tally, count: Callable[[Path], int]) -> list[Pair]:
    """Find the label file of each image, where every image has one; labels of no image are counted.

    Parameters
    ----------
    images, labels, suffix
        As in :func:`paired`.
    tally : Tally
        Gets the labels that belong to no image.
    count : callable
        Number of labels in a file.

    Raises
    ------
    NssaError
        An image has no label file.
    """
    pairs, left = paired(images, labels, suffix)
    for path in left:
        tally.drop(NO_IMAGE, str(path), count(path))
    bare = next((pair for pair in pairs if pair.labels is None), None)
    if bare is not None:
        wanted = labels / PurePath(bare.name).with_suffix(suffix)
        others = f"; {'; '.join(map(str, tally.dropped))}" if tally.dropped else ""
        raise NssaError(f"cannot read the labels {wanted}: no such file{others}")
    return pairs


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix().lower()


def _once(paths: Iterable[Path]) -> dict[str, Path]:
    """Give the files whose stem no other has, by stem."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.stem.lower(), []).append(path)
    return {stem: same[0] for stem, same in found.items() if len(same) == 1}


class ImageFinder:
    """Finds images by the names that labels give them.

    Parameters
    ----------
    places : sequence of Path
        Folders that names may be relative to; the first is the usual one.
    below : Path
        Folder that is searched where a name is in none of them.
    """

    def __init__(self, places: Sequence[Path], below: Path) -> None:
        self._places, self._below = places, below
        self._index: tuple[dict[str, Path], dict[str, Path]] | None = None

    def find(self, name: str) -> Path:
        """Give the file that a name means; the name in the usual place if there is none.

        Tried in turn: the name in each place; the same in other letters (``a.JPG``); its last part, if only one image
        is called so (labels with the paths of another machine).

        Parameters
        ----------
        name : str
            With ``/`` between its parts.
        """
        for place in self._places:
            if (place / name).is_file():
                return place / name
        if self._index is None:
            self._index = self._indexed()
        by_path, by_name = self._index
        return by_path.get(name.lower()) or by_name.get(PurePath(name).name.lower()) or self._places[0] / name

    def _indexed(self) -> tuple[dict[str, Path], dict[str, Path]]:
        by_path: dict[str, Path] = {}
        names: dict[str, list[Path]] = {}
        for path in files_below(self._below, *IMAGES):
            by_path[path.relative_to(self._below).as_posix().lower()] = path
            names.setdefault(path.name.lower(), []).append(path)
        return by_path, {name: same[0] for name, same in names.items() if len(same) == 1}
