"""Every parameter of a detection run, described once: type, bounds, unit, help, default.

The command line, the Python API and the QGIS plugin are made from :class:`DetectorOptions` (the model and how it runs)
and :class:`DetectOptions` (what is done with a scene).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, Field, model_validator

from nssa_gis.detect.parameters import (
    BackendName,
    BandNumbers,
    Box,
    Device,
    Names,
    Overwrite,
    Parameters,
    Row,
    TestTimeAugmentation,
    Threads,
    about,
    as_text,
    flag_of,
    refuse_unknown,
    share_of,
)

_CLASSES = "class names, separated by commas, such as car,truck"


class DetectorOptions(Parameters):
    """Parameters of a detector: the model and how it runs on this machine.

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds; :meth:`parse` gives one line instead.
    """

    model: Annotated[str, BeforeValidator(as_text)] | None = Field(
        default=None,
        min_length=1,
        description="Model: a built-in one (aerial-vehicles, or aerial-4 for vehicles, airliners, ships and storage "
        "tanks) or a .safetensors file.",
        json_schema_extra=about("Model", "result", metavar="NAME|FILE", default_text="aerial-vehicles"),
    )
    tta: TestTimeAugmentation = "none"
    device: Device = "auto"
    backend: BackendName = "auto"
    threads: Threads = None


class DetectOptions(Parameters):
    """Parameters of a detection run.

    ``None`` means that the model package, the scene or the machine decides; the help of each field says which. Strings
    with commas are accepted for the sequences (``classes="car,truck"``, ``bands="4,3,2"``).

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds, or two options contradict each other; :meth:`parse` gives one
        line instead.
    """

    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Keep objects with at least this score.",
        json_schema_extra=about("Model", "result", default_text="the model's own threshold"),
    )
    classes: Names | None = Field(
        default=None,
        description="Keep only these classes, by name, separated by commas.",
        json_schema_extra=about("Model", "result", metavar="NAME,...", default_text="all", expects=_CLASSES),
    )
    gsd: float | None = Field(
        default=None,
        gt=0,
        description="Ground sample distance to which the scene is resampled for the network.",
        json_schema_extra=about("Scene", "result", unit="m/px", default_text="the model's"),
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        le=64,
        description="Resample the scene by this factor instead of to a GSD, such as a scene without a CRS; 2 makes it "
        "twice as wide and high.",
        json_schema_extra=about("Scene", "result", default_text="scene GSD / model GSD; 1 without CRS"),
    )
    bands: BandNumbers | None = Field(
        default=None,
        description="Bands to feed the model, counted from 1, in the model's order, such as 4,3,2.",
        json_schema_extra=about(
            "Scene",
            "result",
            metavar="B,B,B",
            default_text="by colour interpretation, else the first ones",
            expects="band numbers from 1, such as 3,2,1",
        ),
    )
    aoi: Annotated[str, BeforeValidator(as_text)] | None = Field(
        default=None,
        min_length=1,
        description="Detect only inside the polygons of this vector file, in any CRS; :LAYER names one of its layers.",
        json_schema_extra=about("Scene", "result", metavar="FILE[:LAYER]", default_text="the whole scene"),
    )
    bounds: Box | None = Field(
        default=None,
        description="Detect only inside this box: x0,y0,x1,y1.",
        json_schema_extra=about(
            "Scene",
            "result",
            unit="units of --bounds-crs",
            metavar="X0,Y0,X1,Y1",
            default_text="the whole scene",
            expects="four numbers x0,y0,x1,y1",
        ),
    )
    bounds_crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of --bounds, such as EPSG:4326.",
        json_schema_extra=about("Scene", "result", metavar="CRS", default_text="the scene's"),
    )
    no_alpha: bool = Field(
        default=False,
        description="Process pixels that a band tagged as opacity (alpha) calls transparent, too.",
        json_schema_extra=about("Scene", "result", advanced=True),
    )
    crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of a scene whose file states none, such as EPSG:25832 for a picture with a world file.",
        json_schema_extra=about("Scene", "result", metavar="CRS", default_text="the file's"),
    )
    tile: int | None = Field(
        default=None,
        ge=64,
        le=8192,
        description="Side of a tile; a multiple of 64.",
        json_schema_extra=about("Tiling", "result", unit="px", metavar="PX", default_text="the model's", advanced=True),
    )
    overlap: int | None = Field(
        default=None,
        ge=0,
        description="Overlap of neighbouring tiles; at least the size of the largest object.",
        json_schema_extra=about("Tiling", "result", unit="px", metavar="PX", default_text="the model's", advanced=True),
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Tiles per call of the network.",
        json_schema_extra=about("Machine", unit="tiles", default_text="by device", advanced=True),
    )
    readers: int | None = Field(
        default=None,
        ge=1,
        le=128,
        description="Threads that read the scene ahead of the network.",
        json_schema_extra=about(
            "Machine", metavar="N", default_text="one per core, at most 4", advanced=True, old=("--workers",)
        ),
    )
    of: str | None = Field(
        default=None,
        min_length=1,
        description="Output driver, by its GDAL name, such as GPKG, GeoJSON, FlatGeobuf.",
        json_schema_extra=about(
            "Output",
            "output",
            metavar="DRIVER",
            default_text="by the output's extension",
            flags=("--of", "--format"),
        ),
    )
    geometry: Literal["polygon", "point"] = Field(
        default="polygon",
        description="Write the box of each object or its centre.",
        json_schema_extra=about("Output", "output"),
    )
    t_crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of the output layer, such as EPSG:4326.",
        json_schema_extra=about("Output", "output", metavar="CRS", default_text="the scene's"),
    )
    overwrite: Overwrite = Field(
        default=False, description="Replace an existing output, and forget an interrupted run."
    )
    append: bool = Field(
        default=False,
        description="Add to an existing layer (GeoPackage only).",
        json_schema_extra=about("Output"),
    )
    resume: bool = Field(
        default=False,
        description="Continue an interrupted run of the same scene, model and options.",
        json_schema_extra=about("Output"),
    )

    @model_validator(mode="after")
    def _consistent(self) -> DetectOptions:
        for group in (("overwrite", "append", "resume"), ("gsd", "scale"), ("aoi", "bounds")):
            given = [flag_of(name) for name in group if getattr(self, name) not in (None, False)]
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} exclude each other")
        if self.bounds_crs is not None and self.bounds is None:
            raise ValueError("--bounds-crs needs --bounds")
        if self.bounds is not None and not (self.bounds[0] < self.bounds[2] and self.bounds[1] < self.bounds[3]):
            raise ValueError("--bounds must be x0,y0,x1,y1 with x0 < x1 and y0 < y1")
        if self.tile is not None and self.overlap is not None and self.overlap >= self.tile:
            raise ValueError(f"--overlap {self.overlap} must be smaller than --tile {self.tile}")
        return self

    def fingerprint(self) -> dict[str, Any]:
        """Return what of these options the detections depend on, as plain JSON values.

        Returns
        -------
        dict
            Option name to value. Options that change only the way of working (batch size...) or the layer made of the
            detections (its CRS...) are left out, and so is ``aoi``: what it names counts, not how it is spelt.
        """
        kept = {name for name, effect in self.effects().items() if effect == "result"} - {"aoi"}
        return self.model_dump(mode="json", include=kept)


class DetectorArguments(TypedDict, total=False):
    """Fields of :class:`DetectorOptions` as arguments of a function."""

    model: str | os.PathLike[str] | None
    tta: Literal["none", "flip", "rot", "scale"]
    device: str
    backend: Literal["auto", "torch"]
    threads: int | None


class DetectArguments(DetectorArguments, total=False):
    """Fields of :class:`DetectorOptions` and :class:`DetectOptions` as arguments of a function."""

    confidence: float | None
    classes: str | Sequence[str] | None
    gsd: float | None
    scale: float | None
    bands: str | Sequence[int] | None
    aoi: str | os.PathLike[str] | None
    bounds: str | tuple[float, float, float, float] | None
    bounds_crs: str | None
    tile: int | None
    overlap: int | None
    batch_size: int | None
    readers: int | None
    of: str | None
    geometry: Literal["polygon", "point"]
    no_alpha: bool
    crs: str | None
    t_crs: str | None
    overwrite: bool
    append: bool
    resume: bool


def split_options(values: Mapping[str, Any]) -> tuple[DetectorOptions, DetectOptions]:
    """Make the options of a detector and of a run from plain values.

    Raises
    ------
    UsageError
        One line that names the first option at fault and what it takes.
    """
    refuse_unknown(values, DetectorOptions, DetectOptions)
    return (
        DetectorOptions.parse(share_of(values, DetectorOptions)),
        DetectOptions.parse(share_of(values, DetectOptions)),
    )


def options_table() -> list[Row]:
    """Describe every option of ``detect`` and ``batch``; see :meth:`nssa_gis.detect.parameters.Parameters.table`."""
    return DetectorOptions.table() + DetectOptions.table()
