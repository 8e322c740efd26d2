"""Every parameter of a detection run, described once: type, bounds, unit, help, default.

The command line, the Python API and the QGIS plugin are made from :class:`DetectOptions`; the plugin reads
:func:`options_table`, which needs nothing but JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nssa_gis.errors import UsageError

#: What an option changes: the layer's content, how the layer is written, or only the way of working.
Effect = Literal["result", "output", "run"]


def _split(value: object) -> object:
    """Accept ``a,b,c`` where a sequence is wanted."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)]
BandNumbers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_split), Field(min_length=1)]
Box = Annotated[tuple[float, float, float, float], BeforeValidator(_split)]


def _about(
    group: str,
    effect: Effect,
    *,
    unit: str | None = None,
    metavar: str | None = None,
    default_text: str | None = None,
    advanced: bool = False,
    flags: tuple[str, ...] = (),
) -> Any:
    """Pack what pydantic has no field for into ``json_schema_extra``."""
    return {
        "group": group,
        "effect": effect,
        "unit": unit,
        "metavar": metavar,
        "default_text": default_text,
        "advanced": advanced,
        "flags": list(flags),
    }


class DetectorOptions(BaseModel):
    """Parameters of a detector: the model and how it runs on this machine.

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds; :func:`parse_options` gives one line instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str | None = Field(
        default=None,
        min_length=1,
        description="Model: a built-in one (aerial-vehicles, or aerial-4 for vehicles, airplanes, ships and storage "
        "tanks) or a .safetensors file.",
        json_schema_extra=_about("Model", "result", metavar="NAME|FILE", default_text="aerial-vehicles"),
    )
    tta: Literal["none", "flip", "rot", "scale"] = Field(
        default="none",
        description="Test-time augmentation: look at every tile mirrored (flip, 4 views), turned (rot, 4 views) or "
        "resized (scale, 3 views) and average; as many times slower.",
        json_schema_extra=_about("Model", "result", advanced=True),
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where the network runs: auto, cpu, cuda, cuda:1, mps.",
        json_schema_extra=_about("Machine", "run"),
    )
    backend: Literal["auto", "torch"] = Field(
        default="auto",
        description="What runs the network.",
        json_schema_extra=_about("Machine", "run", advanced=True),
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads of the network on the CPU.",
        json_schema_extra=_about("Machine", "run", default_text="all cores", advanced=True),
    )


class DetectOptions(BaseModel):
    """Parameters of a detection run.

    ``None`` means "let the model package, the scene or the machine decide"; the help of each
    field says which.
    Strings with commas are accepted for the sequences (``classes="car,truck"``, ``bands="4,3,2"``).

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type or is out of bounds, or two options contradict each other. Use
        :func:`parse_options` to get a one-line :class:`nssa_gis.errors.UsageError` instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Keep objects with at least this score.",
        json_schema_extra=_about("Model", "result", default_text="the model's own threshold"),
    )
    classes: Names | None = Field(
        default=None,
        description="Keep only these classes, by name, separated by commas.",
        json_schema_extra=_about("Model", "result", metavar="NAME,...", default_text="all"),
    )
    gsd: float | None = Field(
        default=None,
        gt=0,
        description="Ground sample distance to which the scene is resampled for the network.",
        json_schema_extra=_about("Scene", "result", unit="m/px", default_text="the model's"),
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        le=64,
        description="Resample the scene by this factor instead (2 makes it twice as wide and high); "
        "the way for scenes without a CRS.",
        json_schema_extra=_about("Scene", "result", default_text="scene GSD / model GSD; 1 without CRS"),
    )
    bands: BandNumbers | None = Field(
        default=None,
        description="Bands to feed the model, counted from 1, in the model's order, such as 4,3,2.",
        json_schema_extra=_about(
            "Scene", "result", metavar="B,B,B", default_text="by colour interpretation, else the first ones"
        ),
    )
    aoi: str | None = Field(
        default=None,
        min_length=1,
        description="Only look inside the polygons of this vector file, in any CRS; :LAYER names one of its layers.",
        json_schema_extra=_about("Scene", "result", metavar="FILE[:LAYER]", default_text="the whole scene"),
    )
    bounds: Box | None = Field(
        default=None,
        description="Only look inside this box: x0,y0,x1,y1.",
        json_schema_extra=_about(
            "Scene",
            "result",
            unit="units of --bounds-crs",
            metavar="X0,Y0,X1,Y1",
            default_text="the whole scene",
        ),
    )
    bounds_crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of --bounds, such as EPSG:4326.",
        json_schema_extra=_about("Scene", "result", metavar="CRS", default_text="the scene's"),
    )
    tile: int | None = Field(
        default=None,
        ge=64,
        le=8192,
        description="Side of a tile; a multiple of 64.",
        json_schema_extra=_about(
            "Tiling",
            "result",
            unit="px",
            metavar="PX",
            default_text="the model's",
            advanced=True,
        ),
    )
    overlap: int | None = Field(
        default=None,
        ge=0,
        description="Overlap of neighbouring tiles; at least the size of the largest object.",
        json_schema_extra=_about(
            "Tiling",
            "result",
            unit="px",
            metavar="PX",
            default_text="the model's",
            advanced=True,
        ),
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Tiles per call of the network.",
        json_schema_extra=_about("Machine", "run", unit="tiles", default_text="by device", advanced=True),
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=128,
        description="Threads that read the scene ahead of the network.",
        json_schema_extra=_about("Machine", "run", default_text="one per core, at most 4", advanced=True),
    )
    of: str | None = Field(
        default=None,
        min_length=1,
        description="Output driver, by its GDAL name, such as GPKG, GeoJSON, FlatGeobuf.",
        json_schema_extra=_about(
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
        json_schema_extra=_about("Output", "output"),
    )
    t_crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of the output layer, such as EPSG:4326.",
        json_schema_extra=_about("Output", "output", metavar="CRS", default_text="the scene's"),
    )
    overwrite: bool = Field(
        default=False,
        description="Replace an existing output, and forget an interrupted run.",
        json_schema_extra=_about("Output", "run"),
    )
    append: bool = Field(
        default=False,
        description="Add to an existing layer (GeoPackage only).",
        json_schema_extra=_about("Output", "run"),
    )
    resume: bool = Field(
        default=False,
        description="Continue an interrupted run of the same scene, model and options.",
        json_schema_extra=_about("Output", "run"),
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
        """Return what of these options the layer's records depend on, as plain JSON values.

        Returns
        -------
        dict
            Option name to value; options that change only the way of working (device...) are left out, and
            so is ``aoi``: what it names counts, not how it is spelt.
        """
        values = self.model_dump(mode="json")
        kept = {name for name, meta in _metadata(DetectOptions).items() if meta["effect"] != "run"} - {"aoi"}
        return {name: value for name, value in values.items() if name in kept}


def flag_of(name: str) -> str:
    """Return the command line's spelling of an option: ``bounds_crs`` is ``--bounds-crs``."""
    return "--" + name.replace("_", "-")


def _metadata(options: type[BaseModel]) -> dict[str, dict[str, Any]]:
    fields = options.model_fields
    return {name: dict(field.json_schema_extra) for name, field in fields.items()}  # type: ignore[arg-type]


Options = TypeVar("Options", bound=BaseModel)


def parse_options(values: Mapping[str, Any], kind: type[Options] = DetectOptions) -> Options:  # type: ignore[assignment]
    """Make options from plain values.

    Parameters
    ----------
    values : mapping
        Option name (with underscores) to value; strings are converted.
    kind : type
        Which options.

    Raises
    ------
    nssa_gis.errors.UsageError
        With one line that names the first option at fault and what it takes.
    """
    unknown = sorted(set(values) - set(kind.model_fields))
    if unknown:
        raise UsageError(f"no such option: {', '.join(unknown)}; known: {', '.join(kind.model_fields)}")
    try:
        return kind(**values)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def split_options(values: Mapping[str, Any]) -> tuple[DetectorOptions, DetectOptions]:
    """Make the options of the detector and of the run from plain values.

    Raises
    ------
    nssa_gis.errors.UsageError
        As :func:`parse_options`.
    """
    known = {**DetectorOptions.model_fields, **DetectOptions.model_fields}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"no such option: {', '.join(unknown)}; known: {', '.join(known)}")
    own = {name: value for name, value in values.items() if name in DetectorOptions.model_fields}
    rest = {name: value for name, value in values.items() if name not in own}
    return parse_options(own, DetectorOptions), parse_options(rest)


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    if name == "device":
        message = "should be auto, cpu, cuda, cuda:N or mps"
    elif name == "bounds":
        message = "should be four numbers x0,y0,x1,y1"
    elif name == "classes":
        message = "should be class names, separated by commas, such as car,truck"
    elif name == "bands":
        message = "should be band numbers from 1, such as 3,2,1"
    else:
        message = re.sub("^Input ", "", message)
    value = first["input"] if name not in ("bounds", "bands", "classes") else None
    shown = f" {value}" if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return f"{flag_of(name)}{shown}: {message}"


def _kind(annotation: Any) -> tuple[str, list[str] | None]:
    """Name the type of a field for the options table, with its choices."""
    for candidate in (annotation, *get_args(annotation)):
        if get_origin(candidate) is Literal:
            return "choice", list(get_args(candidate))
    text = str(annotation)
    if "tuple[float" in text:
        return "bounds", None
    if "tuple[str" in text:
        return "strings", None
    if "tuple[" in text:
        return "integers", None
    for python, name in ((bool, "boolean"), (int, "integer"), (float, "number")):
        if annotation is python or python in get_args(annotation):
            return name, None
    return "string", None


def options_table() -> list[dict[str, Any]]:
    """Return the description of every option as plain JSON values, in the order of the help text.

    Returns
    -------
    list of dict
        Per option: ``name``, ``flags`` (command line spellings), ``type`` (``string``, ``number``,
        ``integer``, ``boolean``, ``choice``, ``strings``, ``integers``, ``bounds``; the last three are one
        comma-separated argument), ``choices``, ``minimum``, ``maximum``, ``exclusive_minimum`` (bool), ``unit``,
        ``default``, ``default_text`` (what no value means), ``help``, ``group``, ``advanced``, ``effect``, ``metavar``.
    """
    table = []
    described = {**_metadata(DetectorOptions), **_metadata(DetectOptions)}
    for name, field in {**DetectorOptions.model_fields, **DetectOptions.model_fields}.items():
        meta = described[name]
        kind, choices = _kind(field.annotation)
        limits = {type(m).__name__: m for m in field.metadata}
        low = limits.get("Ge") or limits.get("Gt")
        high = limits.get("Le")
        table.append(
            {
                "name": name,
                "flags": meta["flags"] or [flag_of(name)],
                "type": kind,
                "choices": choices,
                "minimum": getattr(low, "ge", getattr(low, "gt", None)),
                "exclusive_minimum": "Gt" in limits,
                "maximum": getattr(high, "le", None),
                "unit": meta["unit"],
                "default": field.default,
                "default_text": meta["default_text"],
                "help": field.description,
                "group": meta["group"],
                "advanced": meta["advanced"],
                "effect": meta["effect"],
                "metavar": meta["metavar"],
            }
        )
    return table
