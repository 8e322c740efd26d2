"""The scenes that folders, patterns and names mean, and the name of each one's layer."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nssa_gis.errors import NssaError
from nssa_gis.files import masked, printable
from nssa_gis.raster.identify import drawn_here, image_files, missing_driver

#: What counts as a scene in a folder by its name; other files are tried. The first one of a name gives the layer's.
SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img", ".ecw", ".sid", ".png", ".jpg", ".jpeg")
#: Parts of other images, and what systems leave in folders.
_PARTS = (".ovr", ".msk", ".rrd", ".aux", ".ige")
_LITTER = {"thumbs.db", "desktop.ini"}
_LITTER_FOLDERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
#: GDAL may open these as images, but in a folder of scenes they are none, or hold several.
_DOCUMENTS = (".pdf", ".csv", ".txt", ".xyz", ".xml", ".json", ".html")
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2")
#: Names shown in one message.
_SHOWN = 8
#: Longest name of a layer in bytes; with what a run puts before and after it, it must stay below 255.
_NAME_BYTES = 180


class NothingReadable(NssaError):
    """No scene of a batch could be read."""

    exit_code = 3


@dataclass(frozen=True)
class Found:
    """A scene that was found.

    Attributes
    ----------
    path : str
        The scene, to be opened.
    root : str or None
        Folder from which its layer's name counts; None for a scene given by name.
    """

    path: str
    root: str | None = None


@dataclass(frozen=True)
class Finding:
    """Scenes, each once, and what the user should know of those that were left out.

    Attributes
    ----------
    scenes : tuple of Found
        In the order of what was given, by name within each.
    notes : tuple of str
        One line each.
    """

    scenes: tuple[Found, ...]
    notes: tuple[str, ...]


def find_scenes(inputs: Sequence[str | os.PathLike[str]]) -> Finding:
    """List the scenes of folders, patterns and files.

    Parameters
    ----------
    inputs : sequence of str or path
        A folder gives the images in it, not in its subfolders: by their extension, and whatever else GDAL opens as an
        image. ``*``, ``?``, ``[]`` and ``**`` are patterns. Anything else is taken as a scene, whether it is there or
        not. Hidden files, what systems leave behind and pictures drawn here are no scenes of a folder or a pattern.

    Raises
    ------
    NothingReadable
        There is not one.
    """
    found: list[Found] = []
    notes: list[str] = []
    for given in inputs:
        text = os.fspath(given)
        if os.path.isdir(text):
            images, told = _in_folder(text)
            found += [Found(path, text) for path in images]
            notes += told
        elif glob.has_magic(text) and not os.path.exists(text):
            root = text[: re.search(r"[*?\[]", text).start()]  # type: ignore[union-attr]
            paths = [path for path in sorted(glob.glob(text, recursive=True)) if os.path.isfile(path)]
            found += [
                Found(path, os.path.dirname(root)) for path in paths if not _litter(path) and not drawn_here(path)
            ]
        else:
            found.append(Found(text))
    if not found:
        raise NothingReadable(
            f"no scene found in: {', '.join(map(str, inputs))}; give folders of images, files, or patterns such as "
            f"'scenes/**/*.tif' for subfolders{''.join(f'; {note}' for note in notes)}"
        )
    once = {os.path.abspath(one.path) if os.path.exists(one.path) else one.path: one for one in reversed(found)}
    return Finding(tuple(one for one in found if one in once.values()), tuple(notes))


def output_names(scenes: Sequence[Found], folder: Path, extension: str) -> list[Path]:
    """Name the layers.

    A layer is named by its scene; below a folder or a pattern with the subfolders in front, so that the name does not
    depend on what else is there. Scenes of one name that were given one by one get the folders that differ. Of several
    scenes of one name in one folder a TIFF keeps the name, and others get their extension.

    Parameters
    ----------
    scenes : sequence of Found
    folder : Path
        Of the layers.
    extension : str
        Of the layers, with the dot.

    Returns
    -------
    list of Path
        All different, also where a system does not tell capitals.
    """
    stems = [_stem(one.path) for one in scenes]
    single = [stem.casefold() for stem, one in zip(stems, scenes, strict=True) if one.root is None]
    names = []
    for stem, one in zip(stems, scenes, strict=True):
        root = one.root
        if root is None and single.count(stem.casefold()) > 1:
            same = [s for s, other in zip(scenes, stems, strict=True) if other.casefold() == stem.casefold()]
            root = _common([s.path for s in same])
        names.append(_joined(one.path, root, stem))
    order = sorted(range(len(names)), key=lambda k: (_rank(scenes[k].path), scenes[k].path))
    taken: Counter[str] = Counter()
    for k in order:
        if taken[names[k].casefold()]:
            names[k] += "_" + Path(scenes[k].path).suffix.lstrip(".").lower()
        if taken[names[k].casefold()] or len(names[k].encode()) > _NAME_BYTES:
            mark = hashlib.sha256(os.fsencode(scenes[k].path)).hexdigest()[:8]
            names[k] = names[k].encode()[: _NAME_BYTES - 9].decode(errors="ignore") + "_" + mark
        taken[names[k].casefold()] += 1
    return [folder / (name + extension) for name in names]


def _in_folder(folder: str) -> tuple[list[str], list[str]]:
    """Give the images of a folder, and notes on what was left out."""
    images, others, left, below = [], {}, [], 0
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        suffix = Path(entry.name).suffix.lower()
        if _litter(entry.name):
            continue
        if entry.is_dir():
            files = image_files(entry.path) if suffix else []  # Zarr and the like are folders
            below += 0 if files else _count_images(entry.path)
            images += files[:1]
        elif not entry.is_file():  # a pipe would never answer
            continue
        elif suffix in _ARCHIVES:
            left.append(entry.name)
        elif suffix in SUFFIXES or missing_driver(entry.path):
            images += [] if drawn_here(entry.path) else [entry.path]
        elif suffix not in _PARTS and (files := image_files(entry.path)):
            others[entry.path] = files
    parts = {os.path.abspath(file) for files in others.values() for file in files[1:]}
    for path in others:
        if Path(path).suffix.lower() in _DOCUMENTS:
            left.append(os.path.basename(path))
        elif os.path.abspath(path) not in parts:
            images.append(path)
    notes = []
    if left:
        shown = ", ".join(map(printable, left[:_SHOWN])) + (f" and {len(left) - _SHOWN} more" if left[_SHOWN:] else "")
        notes.append(f"{printable(folder)}: left out {shown}; unpack an archive, give any other file by its name")
    if below:
        pattern = printable(os.path.join(folder, "**", "*.tif"))
        notes.append(
            f"{printable(folder)}: {below} image{'s' if below > 1 else ''} in its subfolders left out; give a pattern "
            f"such as '{pattern}' for them"
        )
    return sorted(images), notes


def _count_images(folder: str) -> int:
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _litter(name)]
        count += sum(not _litter(name) and name.lower().endswith(SUFFIXES) for name in files)
    return count


def _litter(path: str) -> bool:
    """Whether it is a hidden file, or what a system or a program leaves behind."""
    parts = Path(path).parts
    folders = {part.casefold() for part in parts[:-1]}
    name = parts[-1].casefold()
    return name.startswith(".") or name in _LITTER | _LITTER_FOLDERS or bool(folders & _LITTER_FOLDERS)


def _stem(path: str) -> str:
    """Name of a scene: that of a file as it is, of others one that every system allows for a file."""
    if os.path.isfile(path):
        return Path(path).stem
    if "://" in path:
        stem = Path(masked(urlsplit(path).path)).stem
    elif re.match(r"\w\w+:", path):  # a part of a file: "GPKG:flight.gpkg:table"
        stem = Path(masked(path.partition(":")[2])).name.replace(".", "_").replace('"', "")
    else:
        stem = Path(masked(path)).stem
    return _safe(stem) or "scene"


def _safe(text: str) -> str:
    return re.sub(r'[<>:"/\\|?\x00-\x1f]', "_", text.replace("*", "")).strip(" .")


def _joined(path: str, root: str | None, stem: str) -> str:
    """Put the folders between root and scene in front; a folder that repeats what follows it is left out."""
    if root is None:
        return stem
    between = Path(os.path.relpath(os.path.dirname(path) or ".", root or ".")).parts
    parts = [_safe(part) for part in between if part not in (".", "..")] + [stem]
    return "_".join(part for part, after in zip(parts, [*parts[1:], None], strict=True) if part != after)


def _common(paths: Sequence[str]) -> str | None:
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # two drives of Windows, or addresses
        return None


def _rank(path: str) -> int:
    suffix = Path(path).suffix.lower()
    return SUFFIXES.index(suffix) if suffix in SUFFIXES else len(SUFFIXES)
