"""Parameters of a training and of pseudo-labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, DirectoryPath, Field, model_validator

from nssa_gis.detect.parameters import Device, Duration, Overwrite, Parameters, Texts, Threads, about, as_text, listed
from nssa_gis.model.config import PAD_MULTIPLE

#: Ground sample distance that a network works at if nothing says another, metres per pixel.
DEFAULT_GSD = 0.25
_TIME = "a time such as 90s, 45m or 2h"


class TrainOptions(Parameters):
    """Parameters of a training.

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds, or there is not exactly one of ``steps`` and ``time_budget``;
        :meth:`parse` gives one line instead.
    """

    classes: Texts = Field(
        default=(),
        description="Classes of the model: NAME, or NAME=CATEGORY+CATEGORY where the labels use other names; several "
        "are separated by commas. A recipe states its own.",
        json_schema_extra=about("Data", "result", metavar="CLASS,...", repeat=True),
    )
    gsd: float | None = Field(
        default=None,
        gt=0,
        description="Ground sample distance at which the network works, and that of images that state none. A recipe "
        "states its own.",
        json_schema_extra=about(
            "Data",
            "result",
            unit="m/px",
            metavar="M/PX",
            default_text=f"that of --init or of the resumed run, else {DEFAULT_GSD:g}",
        ),
    )
    val_scenes: Texts = Field(
        default=(),
        description="Scene whose images are held out for validation; may be repeated. A recipe states its own.",
        json_schema_extra=about("Data", "result", metavar="SCENE", repeat=True),
    )
    data_root: Annotated[tuple[DirectoryPath, ...], BeforeValidator(listed)] = Field(
        default=(),
        description="Folder that holds the sources of a recipe; may be repeated.",
        json_schema_extra=about("Data", metavar="DIR", repeat=True, expects="a folder that exists"),
    )
    size: Annotated[str, BeforeValidator(as_text)] = Field(
        default="s",
        min_length=1,
        description="Network: n, s or m for a CPU, paper (ResNet-50) for a GPU; each also with -plain, without the "
        "three modules of the method; or a .toml file.",
        json_schema_extra=about("Model", "result", metavar="NAME|FILE"),
    )
    init: Annotated[str, BeforeValidator(as_text)] | None = Field(
        default=None,
        min_length=1,
        description="Start from the weights of this model, which must have the same network.",
        json_schema_extra=about("Model", "result", metavar="MODEL", default_text="random weights"),
    )
    trunk_weights: Path | None = Field(
        default=None,
        description="Start the trunk of --size paper from these ResNet-50 weights (.safetensors).",
        json_schema_extra=about("Model", "result", metavar="FILE", default_text="random weights"),
    )
    model_version: str = Field(
        default="1",
        min_length=1,
        description="Version of the model, written into its package.",
        json_schema_extra=about("Model", "output"),
    )
    time_budget: Duration | None = Field(
        default=None,
        gt=0,
        description="Training time, such as 90s, 45m or 2h; loading and validation are not counted.",
        json_schema_extra=about("Training", "result", kind="duration", metavar="TIME", expects=_TIME),
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        description="Number of steps, instead of a training time.",
        json_schema_extra=about("Training", "result", metavar="N"),
    )
    batch: int = Field(
        default=16,
        ge=1,
        description="Crops per step, of all processes together.",
        json_schema_extra=about("Training", "result", metavar="N"),
    )
    crop: int | None = Field(
        default=None,
        ge=64,
        multiple_of=PAD_MULTIPLE,
        description="Side of a crop; a multiple of 64.",
        json_schema_extra=about(
            "Training", "result", unit="px", metavar="PX", default_text="256; 832 with a ResNet trunk"
        ),
    )
    learning_rate: float = Field(
        default=2e-3,
        gt=0,
        le=1,
        description="Highest learning rate, for a batch of 16; scaled with the square root of the batch.",
        json_schema_extra=about("Training", "result"),
    )
    assigner: Literal["gaussian", "tal"] = Field(
        default="gaussian",
        description="Rule that says which points of the network learn which object.",
        json_schema_extra=about("Training", "result"),
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of the weights and of the data.",
        json_schema_extra=about("Training", "result", metavar="N"),
    )
    validate_every: Duration = Field(
        default=0.0,
        ge=0,
        description="Time between validations on up to 40 held-out images of each source; 0s: only at the end.",
        json_schema_extra=about("Training", kind="duration", metavar="TIME", default_text="0s", expects=_TIME),
    )
    checkpoint_every: Duration = Field(
        default=120.0,
        ge=0,
        description="Time between checkpoints.",
        json_schema_extra=about("Training", kind="duration", metavar="TIME", default_text="120s", expects=_TIME),
    )
    device: Device = "auto"
    threads: Threads = None
    workers: int = Field(
        default=1,
        ge=0,
        description="Processes that prepare crops, for each process that trains.",
        json_schema_extra=about("Machine", metavar="N"),
    )
    run: Path | None = Field(
        default=None,
        description="Folder for the checkpoint and the log.",
        json_schema_extra=about("Output", "output", metavar="DIR", default_text="runs/<output name>"),
    )
    resume: bool = Field(
        default=False,
        description="Continue from the checkpoint in the run folder.",
        json_schema_extra=about("Output"),
    )
    overwrite: Overwrite = Field(
        default=False, description="Replace an existing package, and a run that is not resumed."
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainOptions:
        if (self.steps is None) == (self.time_budget is None):
            raise ValueError("give either --steps or --time-budget")
        return self


class TrainArguments(TypedDict, total=False):
    """Fields of :class:`TrainOptions` as arguments of a function; times are seconds, or texts such as ``2h``."""

    classes: str | Sequence[str]
    gsd: float | None
    val_scenes: str | Sequence[str]
    data_root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    size: str | os.PathLike[str]
    init: str | os.PathLike[str] | None
    trunk_weights: str | os.PathLike[str] | None
    model_version: str
    time_budget: float | str | None
    steps: int | None
    batch: int
    crop: int | None
    learning_rate: float
    assigner: Literal["gaussian", "tal"]
    seed: int
    validate_every: float | str
    checkpoint_every: float | str
    device: str
    threads: int | None
    workers: int
    run: str | os.PathLike[str] | None
    resume: bool
    overwrite: bool


def _fields(value: object) -> object:
    """Read ``field=value`` texts; true and false are truth values."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        return value
    table: dict[str, Any] = {}
    for text in texts:
        name, sign, said = str(text).partition("=")
        if not (name and sign):
            raise ValueError(f"{text!r} is not FIELD=VALUE")
        table[name] = {"true": True, "false": False}.get(said.lower(), said)
    return table


class SuggestOptions(Parameters):
    """Parameters of pseudo-labels."""

    only: Annotated[dict[str, Any], BeforeValidator(_fields)] = Field(
        default={},
        description="Use only images whose field in the dataset's COCO JSON has this value (true, false or a text); "
        "may be repeated.",
        json_schema_extra=about(
            "Data", "result", kind="string", metavar="FIELD=VALUE", repeat=True, expects="FIELD=VALUE"
        ),
    )
    gsd: float | None = Field(
        default=None,
        gt=0,
        description="Ground sample distance of images that do not state one.",
        json_schema_extra=about("Data", "result", unit="m/px", metavar="M/PX"),
    )
    label_threshold: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Score from which a detection becomes a label.",
        json_schema_extra=about("Labels", "result", metavar="SCORE", old=("--sure",)),
    )
    ignore_threshold: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="Score from which a detection becomes an ignore region, or a hard negative; weaker detections are "
        "background.",
        json_schema_extra=about("Labels", "result", metavar="SCORE", old=("--doubt",)),
    )
    hard_negatives: bool = Field(
        default=False,
        description="The images hold no object: write the detections as hard negatives.",
        json_schema_extra=about("Labels", "result", old=("--empty",)),
    )
    rotated: bool = Field(
        default=False,
        description="Use nine views rotated in steps of 10 degrees instead of four mirrored views, and the score of a "
        "single view: for long objects that stand side by side at a slant, such as parked cars.",
        json_schema_extra=about("Labels", "result", old=("--turned",)),
    )
    device: Device = "auto"
    threads: Threads = None
    overwrite: Overwrite = False

    @model_validator(mode="after")
    def _consistent(self) -> SuggestOptions:
        if self.ignore_threshold > self.label_threshold:
            raise ValueError(
                f"--ignore-threshold {self.ignore_threshold:g} is above --label-threshold {self.label_threshold:g}"
            )
        return self


class SuggestArguments(TypedDict, total=False):
    """Fields of :class:`SuggestOptions` as arguments of a function."""

    only: str | Sequence[str] | dict[str, Any]
    gsd: float | None
    label_threshold: float
    ignore_threshold: float
    hard_negatives: bool
    rotated: bool
    device: str
    threads: int | None
    overwrite: bool
