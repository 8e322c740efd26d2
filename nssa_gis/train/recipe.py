"""Training recipes: which labelled sources, at what weight, and which scenes are held out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nssa_gis.errors import NssaError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Source:
    """One labelled folder.

    Attributes
    ----------
    path : Path
        The folder.
    weight : float
        Relative share of training crops drawn from it; 0 for none, as where ``split`` is given.
    gsd : float, "native" or None
        Metres per pixel of images that state none; ``native``: their pixels are used as they are.
    val_scenes : tuple of str
        Scenes held out for validation: the ``scene`` field of COCO images, what their name begins with in VisDrone,
        elsewhere and by default the stem of the file name.
    split : "val" or None
        ``val``: all its images are held out for validation, and teach nothing through another source either.
    only : dict
        Keep images whose field equals the value; an absent field counts as false, null (unknown) never matches.
    upright : bool
        Its images have an up and a down (oblique views, as in VisDrone): they are mirrored from left to right, but
        never turned nor mirrored upside down (what is cut out of them is).
    cut_out : bool or float
        Objects of its training images are also pasted on images that have none; a number (1 is one metre, not true)
        is the width in metres that upright ones do not exceed.
    additions : str or None
        COCO JSON in the source, under a data root or beside the recipe that adds to the source's own labels, image by
        image: :func:`nssa_gis.labels.table.completed`.
    format, annotations, images : str or None
        As in :func:`nssa_gis.labels.registry.read_table`; annotations may also lie under a data root.
    """

    path: Path
    weight: float = 1.0
    gsd: float | str | None = None
    val_scenes: tuple[str, ...] = ()
    split: str | None = None
    only: dict[str, Any] = field(default_factory=dict)
    upright: bool = False
    cut_out: bool | float = False
    additions: str | None = None
    format: str | None = None
    annotations: str | None = None
    images: str | None = None

    @property
    def name(self) -> str:
        """Folder name."""
        return self.path.name


@dataclass(frozen=True)
class Recipe:
    """What a model is trained on.

    Attributes
    ----------
    name : str
        Name of the trained package.
    gsd : float
        Metres per pixel the network works at.
    gsd_range : tuple of float
        Range of GSD of scenes it is meant for.
    classes : dict of str to tuple of str
        Class of the model to category names of the sources.
    sources : tuple of Source
        The data.
    licence : str
        Terms of the weights.
    clutter : bool
        Training crops get drawn roof units, vents and skylights: for classes that these are mistaken for, not for
        classes that they belong to.
    """

    name: str
    gsd: float
    gsd_range: tuple[float, float]
    classes: dict[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    licence: str = "unspecified"
    clutter: bool = False


def load_recipe(path: Path, roots: Sequence[Path]) -> Recipe:
    """Read a recipe file; sources are looked up under each of ``roots``, then beside the file.

    Raises
    ------
    NssaError
        The file is missing or no TOML, or a source that is not optional is found nowhere.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NssaError(f"cannot read the recipe {path}: {error}") from None
    places = [*roots, path.parent]
    _check(path, "the recipe", values, _RECIPE_KEYS, ("name", "gsd", "gsd_range", "classes", "source"))
    if len(values["gsd_range"]) != 2:
        raise NssaError(f"{path}: gsd_range is two numbers")
    for name, members in values["classes"].items():
        _check(path, "[classes]", {name: members}, {name: (_texts, "a list of category names")}, ())
    sources = []
    for number, entry in enumerate(values["source"], 1):
        _check(path, f"source {number}", entry, _SOURCE_KEYS, ("path",))
        if entry.get("split") == "val":
            if entry.setdefault("weight", 0.0) or entry.get("val_scenes"):
                raise NssaError(f'{path}: source {number} is held out whole (split = "val"): no weight, no val_scenes')
        found = next((r / entry["path"] for r in places if (r / entry["path"]).is_dir()), None)
        rest = {k: v for k, v in entry.items() if k not in ("path", "optional", "val_scenes")}
        if found is not None:
            # suggested labels lie where they were written, not among the source's own files
            tables = {k: rest[k] for k in ("annotations", "additions") if k in rest}
            there = {k: next(filter(Path.exists, (p / v for p in (found, *places))), None) for k, v in tables.items()}
            if None in there.values() and entry.get("optional"):
                continue
            rest |= {k: str(table.absolute()) for k, table in there.items() if table is not None}
            sources.append(Source(found, val_scenes=tuple(entry.get("val_scenes", ())), **rest))
        elif not entry.get("optional"):
            raise NssaError(
                f"{path}: source {entry['path']!r} is under none of {[str(p) for p in places]}; "
                "name its parent folder with --data-root"
            )
    low, high = map(float, values["gsd_range"])
    return Recipe(
        values["name"],
        float(values["gsd"]),
        (low, high),
        {k: tuple(v) for k, v in values["classes"].items()},
        tuple(sources),
        values.get("licence", "unspecified"),
        values.get("clutter", False),
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


_Keys = dict[str, tuple[Callable[[Any], bool], str]]
_RECIPE_KEYS: _Keys = {
    "name": (_text, "a text"),
    "gsd": (lambda v: _number(v) and v > 0, "a number over 0"),
    "gsd_range": (lambda v: isinstance(v, list) and all(map(_number, v)), "two numbers"),
    "classes": (lambda v: isinstance(v, dict) and bool(v), "a table of classes"),
    "source": (lambda v: isinstance(v, list) and all(isinstance(s, dict) for s in v), "one or more [[source]] tables"),
    "licence": (_text, "a text"),
    "clutter": (lambda v: isinstance(v, bool), "true or false"),
}
_SOURCE_KEYS: _Keys = {
    "path": (_text, "a folder name"),
    "weight": (_number, "a number from 0"),
    "gsd": (lambda v: v == "native" or (_number(v) and v > 0), 'a number over 0 or "native"'),
    "val_scenes": (_texts, "a list of texts"),
    "split": (lambda v: v == "val", '"val" (or left out)'),
    "only": (lambda v: isinstance(v, dict), "a table"),
    "optional": (lambda v: isinstance(v, bool), "true or false"),
    "upright": (lambda v: isinstance(v, bool), "true or false"),
    "cut_out": (lambda v: isinstance(v, bool) or (_number(v) and v > 0), "true, false or a width in metres"),
    "format": (_text, "a text"),
    "annotations": (_text, "a text"),
    "additions": (_text, "a text"),
    "images": (_text, "a text"),
}


def _check(path: Path, where: str, values: dict[str, Any], keys: _Keys, needed: Sequence[str]) -> None:
    """Check keys and kinds of values of one table."""
    for key in needed:
        if key not in values:
            raise NssaError(f"{path}: {where} lacks {key!r}")
    for key, value in values.items():
        if key not in keys:
            raise NssaError(f"{path}: {where} has the unknown key {key!r}; known: {', '.join(keys)}")
        fits, wanted = keys[key]
        if not fits(value):
            raise NssaError(f"{path}: {key!r} of {where} must be {wanted}, not {value!r}")


def recipe_of_folders(
    folders: Sequence[Path], classes: Sequence[str], gsd: float, val_scenes: Sequence[str], name: str
) -> Recipe:
    """Make a recipe from labelled folders named on the command line, all at weight 1.

    Parameters
    ----------
    folders : sequence of Path
        In any of the formats that :func:`nssa_gis.labels.registry.guess_format` tells by what lies there.
    classes : sequence of str
        Each ``name`` or ``name=category+category``, or several of them between commas.
    gsd : float
        Metres per pixel to work at; also taken for images that state none.
    val_scenes : sequence of str
        Scenes held out, as in :class:`Source`.
    name : str
        Name of the trained package.

    Raises
    ------
    UsageError
        There are no classes, or a text is none.
    """
    table = {}
    for item in (part for text in classes for part in text.split(",")):
        label, _, members = item.partition("=")
        table[label.strip()] = tuple(m.strip() for m in (members or label).split("+"))
        if not all((label.strip(), *table[label.strip()])):
            raise UsageError(f"{item!r} is no class; write NAME or NAME=CATEGORY+CATEGORY")
    if not table:
        raise UsageError("no classes: name them with --classes car,ship or --classes vehicle=car+truck+bus")
    sources = tuple(Source(Path(f), gsd=gsd, val_scenes=tuple(val_scenes)) for f in folders)
    return Recipe(name, gsd, (gsd * 0.6, gsd * 1.6), table, sources)
