"""Training recipes: which labelled sources, at what weight, and which scenes are held out for validation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from nssa_gis.errors import NssaError, UsageError, first_fault
from nssa_gis.labels.classes import parse_classes
from nssa_gis.runtime.package import Metres, ModelInfo, Name, ValueRange, check_ranges

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _told(wanted: str) -> WrapValidator:
    """Say what a value of several types should be: pydantic would report on each type of its own."""

    def check(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise ValueError(f"should be {wanted}") from None

    return WrapValidator(check)


# a list may stand for a tuple, and a text for a path, as TOML has them
_Texts = Annotated[tuple[str, ...], Field(strict=False)]
_SETTINGS = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Source(BaseModel):
    """One labelled folder.

    Attributes
    ----------
    path : Path
        The folder.
    weight : float
        Relative share of the training crops that are drawn from it; 0 for none, which is the default where ``split``
        is given.
    gsd : float, "native" or None
        Ground sample distance, in metres per pixel, of images that state none; ``native``: they are processed at
        native resolution.
    val_scenes : tuple of str
        Scenes held out for validation: the ``scene`` field of COCO images, the beginning of the file name in VisDrone,
        elsewhere and by default the stem of the file name.
    split : "val" or None
        ``val``: all its images are held out for validation, also from the training sets of the other sources.
    only : dict
        Keep images whose field equals the value; an absent field counts as false, null (unknown) never matches.
    upright : bool
        Its images have an up and a down (oblique views, as in VisDrone): crops are mirrored from left to right, but
        never rotated nor mirrored upside down (objects cut out of them are).
    cut_out : bool or float
        Objects of its training images are also pasted on images that have none; a number (1 is one metre, not true)
        is the largest width, in metres, of upright ones.
    additions : str or None
        COCO JSON in the source, under a data root or beside the recipe that adds to the source's own labels, image by
        image: :func:`nssa_gis.labels.table.completed`.
    format, annotations, images : str or None
        As in :func:`nssa_gis.labels.registry.read_table`; annotations may also lie under a data root.
    optional : bool
        Left out of the recipe if its folder or a file of labels is not there.
    """

    model_config = _SETTINGS

    path: Annotated[Path, Field(strict=False)]
    weight: Annotated[float, Field(ge=0)] = 1.0
    gsd: Annotated[Metres | Literal["native"] | None, _told('a number over 0 or "native"')] = None
    val_scenes: _Texts = ()
    split: Annotated[Literal["val"] | None, _told('"val", or left out')] = None
    only: dict[str, Any] = Field(default_factory=dict)
    upright: bool = False
    cut_out: Annotated[bool | Metres, _told("true, false or a width in metres")] = False
    additions: str | None = None
    format: str | None = None
    annotations: str | None = None
    images: str | None = None
    optional: bool = Field(default=False, repr=False)  # does not change the data, so the record of a run leaves it out

    @model_validator(mode="before")
    @classmethod
    def _held_out_whole(cls, values: Any) -> Any:
        """Give a source that is held out whole the weight 0."""
        if not isinstance(values, dict) or values.get("split") != "val":
            return values
        if values.get("weight", 0) or values.get("val_scenes"):
            raise ValueError('is held out whole (split = "val"): leave weight and val_scenes out')
        return {**values, "weight": 0.0}

    @property
    def name(self) -> str:
        """Folder name."""
        return self.path.name


class Recipe(BaseModel):
    """What a model is trained on.

    Attributes
    ----------
    name : str
        Name of the trained package.
    gsd : float
        Ground sample distance that the network works at, metres per pixel.
    gsd_range : tuple of float
        Lowest and highest GSD of the scenes that it is meant for.
    classes : dict of str to tuple of str
        Class of the model to category names of the sources.
    sources : tuple of Source
        The data; the tables ``[[source]]`` of a file.
    licence : str
        Terms of use of the weights.
    value_range : tuple of (low, high), or None
        Input values that become 0 and 255, for imagery of more than 8 bits: one pair, or one for each band; the model
        keeps it. None: by the statistics of each image.
    clutter : bool
        Synthetic roof units, vents and skylights are drawn into training crops: for classes that these are mistaken
        for, not for classes that they belong to.
    """

    model_config = ConfigDict(**_SETTINGS, populate_by_name=True)

    name: Name
    gsd: Metres
    gsd_range: Annotated[tuple[Metres, Metres], Field(strict=False), _told("two numbers over 0, the lower one first")]
    classes: Annotated[dict[Name, _Texts], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(strict=False, validation_alias="source")]
    licence: str = "unspecified"
    value_range: ValueRange | None = None
    clutter: bool = False

    @field_validator("gsd_range")
    @classmethod
    def _ordered(cls, pair: tuple[float, float]) -> tuple[float, float]:
        if pair[0] > pair[1]:
            raise ValueError("should be two numbers over 0, the lower one first")
        return pair

    @field_validator("value_range")
    @classmethod
    def _one_or_each(cls, ranges: ValueRange | None) -> ValueRange | None:
        return check_ranges(ranges, len(ModelInfo.model_fields["bands"].default))


def load_recipe(path: Path, roots: Sequence[Path]) -> Recipe:
    """Read a recipe file; sources are looked up under each of ``roots``, then beside the file.

    Raises
    ------
    NssaError
        The file is missing or no TOML, a value in it is wrong, or a source that is not optional is found nowhere.
    """
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise NssaError(f"{path}: {first_fault(error)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NssaError(f"cannot read the recipe {path}: {error}") from None
    places = [*roots, path.parent]
    found = []
    for source in recipe.sources:
        there = _located(source, places)
        if there is not None:
            found.append(there)
        elif not source.optional:
            raise NssaError(
                f"{path}: source {str(source.path)!r} is under none of {[str(p) for p in places]}; "
                "name its parent folder with --data-root"
            )
    return recipe.model_copy(update={"sources": tuple(found)})


def _located(source: Source, places: Sequence[Path]) -> Source | None:
    """Give a source with the paths where its files are; None where its folder, or a file of an optional one, is not."""
    folder = next((p for p in (place / source.path for place in places) if p.is_dir()), None)
    if folder is None:
        return None
    changes: dict[str, Any] = {"path": folder}
    for kind in ("annotations", "additions"):
        name = getattr(source, kind)
        # suggested labels lie where they were written, not among the source's own files
        file = name and next((f for f in (place / name for place in (folder, *places)) if f.exists()), None)
        if file:
            changes[kind] = str(file.absolute())
        elif name and source.optional:
            return None
    return source.model_copy(update=changes)


def recipe_of_folders(
    folders: Sequence[Path], classes: Sequence[str], gsd: float, val_scenes: Sequence[str], name: str
) -> Recipe:
    """Make a recipe from labelled folders named on the command line, all at weight 1.

    Parameters
    ----------
    folders : sequence of Path
        In any of the formats that :func:`nssa_gis.labels.registry.guess_format` recognises.
    classes : sequence of str
        Each ``name`` or ``name=category+category``, or several of them separated by commas.
    gsd : float
        Ground sample distance to work at, in metres per pixel; also that of images that state none.
    val_scenes : sequence of str
        Scenes held out, as in :class:`Source`.
    name : str
        Name of the trained package.

    Raises
    ------
    UsageError
        There are no classes, a text does not name one, or the name is not UTF-8.
    """
    table = parse_classes(classes)
    if not table:
        raise UsageError("no classes: name them with --classes car,ship or --classes vehicle=car+truck+bus")
    try:
        sources = tuple(Source(path=Path(f), gsd=gsd, val_scenes=tuple(val_scenes)) for f in folders)
        return Recipe(name=name, gsd=gsd, gsd_range=(gsd * 0.6, gsd * 1.6), classes=table, sources=sources)
    except ValidationError as error:
        raise UsageError(f"the training cannot be set up: {first_fault(error)}") from None
