"""Parameters of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypedDict

from pydantic import BeforeValidator, Field

from nssa_gis.detect.parameters import Device, Parameters, TestTimeAugmentation, Threads, about, listed
from nssa_gis.errors import UsageError

ProtocolName = Literal["coco", "visdrone", "visdrone-official", "aitod"]


def _classes(value: object) -> object:
    """Read ``vehicle=car+truck`` texts."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    from nssa_gis.labels.classes import parse_classes  # imports GDAL, which --help does not need

    try:
        return parse_classes(texts)
    except UsageError as error:
        raise ValueError(str(error)) from None


class EvaluateOptions(Parameters):
    """Parameters of an evaluation.

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds; :meth:`parse` gives one line instead.
    """

    protocols: Annotated[tuple[ProtocolName, ...], BeforeValidator(listed)] = Field(
        default=("coco",),
        min_length=1,
        description="How to score; may be repeated, the detection runs once.",
        json_schema_extra=about("Scoring", "result", repeat=True, flags=("--protocol",)),
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="Use only N images, evenly spread over the dataset.",
        json_schema_extra=about("Scoring", "result", metavar="N", default_text="all images"),
    )
    classes: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_classes)] = Field(
        default={},
        description="Categories of the dataset that belong to a class of the model; may be repeated.",
        json_schema_extra=about(
            "Data",
            "result",
            kind="string",
            metavar="CLASS=CATEGORY+...",
            default_text="the category of the same name",
            repeat=True,
        ),
    )
    format: Literal["coco", "visdrone", "dota", "yolo", "voc"] | None = Field(
        default=None,
        description="Format of the labels; for AI-TOD it is coco.",
        json_schema_extra=about("Data", "result", default_text="by the files in the folder"),
    )
    annotations: str | None = Field(
        default=None,
        min_length=1,
        description="Place of the labels in DATASET.",
        json_schema_extra=about("Data", "result", metavar="PATH", default_text="the format's own"),
    )
    images: str | None = Field(
        default=None,
        min_length=1,
        description="Place of the images in DATASET.",
        json_schema_extra=about("Data", "result", metavar="PATH", default_text="the format's own"),
    )
    gsd: float | None = Field(
        default=None,
        gt=0,
        description="Ground sample distance of images that do not state one.",
        json_schema_extra=about(
            "Data", "result", unit="m/px", metavar="M/PX", default_text="they are processed at native resolution"
        ),
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        description="Resample every image by this factor.",
        json_schema_extra=about("Data", "result", metavar="FACTOR", default_text="image GSD / model GSD"),
    )
    tta: TestTimeAugmentation = "none"
    device: Device = "auto"
    threads: Threads = None


class EvaluateArguments(TypedDict, total=False):
    """Fields of :class:`EvaluateOptions` as arguments of a function."""

    protocols: str | Sequence[str]
    limit: int | None
    classes: str | Sequence[str] | Mapping[str, Sequence[str]]
    format: str | None
    annotations: str | None
    images: str | None
    gsd: float | None
    scale: float | None
    tta: Literal["none", "flip", "rot", "scale"]
    device: str
    threads: int | None
