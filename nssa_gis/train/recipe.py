"""Training recipes: which labelled sources, at what weight, and which scenes are held out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
    """One folder with ``instances.json`` (COCO JSON) and ``images/``.

    Attributes
    ----------
    path : Path
        The folder.
    weight : float
        Relative share of training crops drawn from it; 0 for none.
    gsd : float or None
        Metres per pixel of images without a ``gsd_m`` of their own.
    val_scenes : tuple of str
        Scenes (``scene`` field of the images) held out for validation.
    only : dict
        Keep images whose field equals the value; an absent field counts as false, null (unknown) never matches.
    """

    path: Path
    weight: float = 1.0
    gsd: float | None = None
    val_scenes: tuple[str, ...] = ()
    only: dict[str, Any] = field(default_factory=dict)

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
    """

    name: str
    gsd: float
    gsd_range: tuple[float, float]
    classes: dict[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    licence: str = "unspecified"


def load_recipe(path: Path, roots: Sequence[Path]) -> Recipe:
    """Read a recipe file; sources are looked up under each of ``roots``, then beside the file.

    Raises
    ------
    NssaError
        The file is missing or no TOML, or a source that is not optional is found nowhere.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NssaError(f"cannot read the recipe {path}: {error}") from None
    places = [*roots, path.parent]
    sources = []
    try:
        for entry in values["source"]:
            found = next((r / entry["path"] for r in places if (r / entry["path"]).is_dir()), None)
            if found is None:
                if entry.get("optional"):
                    continue
                raise NssaError(
                    f"{path}: source {entry['path']!r} is under none of {[str(p) for p in places]}; "
                    "name its parent folder with --data-root"
                )
            sources.append(
                Source(
                    found,
                    float(entry.get("weight", 1.0)),
                    entry.get("gsd"),
                    tuple(entry.get("val_scenes", ())),
                    dict(entry.get("only", {})),
                )
            )
        return Recipe(
            values["name"],
            float(values["gsd"]),
            tuple(map(float, values["gsd_range"])),  # type: ignore[arg-type]
            {k: tuple(v) for k, v in values["classes"].items()},
            tuple(sources),
            values.get("licence", "unspecified"),
        )
    except KeyError as error:
        raise NssaError(f"{path}: the recipe lacks {error}") from None


def recipe_of_folders(
    folders: Sequence[Path], classes: Sequence[str], gsd: float, val_scenes: Sequence[str], name: str
) -> Recipe:
    """Make a recipe from COCO folders named on the command line, all at weight 1.

    Parameters
    ----------
    folders : sequence of Path
        Folders with ``instances.json``.
    classes : sequence of str
        Each ``name`` or ``name=category+category``, or several of them between commas.
    gsd : float
        Metres per pixel to work at; also taken for images that state none.
    val_scenes : sequence of str
        Scenes held out.
    name : str
        Name of the trained package.
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
