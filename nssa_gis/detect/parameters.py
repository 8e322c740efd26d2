"""How a command's parameters are described: once, in a pydantic model.

A model derived from :class:`Parameters` states for every parameter its type, bounds, unit, help and default. The
command line, the arguments of the library's functions and the QGIS plugin are made from it; the plugin reads the rows
of :meth:`Parameters.table`, which are plain JSON. What several commands share (device, threads, overwrite...) is
declared here once, as annotated types.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nssa_gis.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

#: What a parameter changes: the content of the result, how the result is written, or only the way of working.
Effect = Literal["result", "output", "run"]


class Row(TypedDict):
    """Description of one parameter in plain JSON values; see :meth:`Parameters.table`."""

    name: str
    flags: list[str]
    old_flags: list[str]
    type: str
    choices: list[str] | None
    minimum: float | None
    exclusive_minimum: bool
    maximum: float | None
    unit: str | None
    default: Any
    default_text: str | None
    repeat: bool
    help: str
    group: str
    advanced: bool
    effect: Effect
    metavar: str | None


def about(
    group: str,
    effect: Effect = "run",
    *,
    kind: str | None = None,
    unit: str | None = None,
    metavar: str | None = None,
    default_text: str | None = None,
    advanced: bool = False,
    repeat: bool = False,
    flags: tuple[str, ...] = (),
    old: tuple[str, ...] = (),
    expects: str | None = None,
) -> Any:
    """Describe what pydantic has no field for; the value of ``json_schema_extra``.

    Parameters
    ----------
    group : str
        Section of the help.
    effect : {"result", "output", "run"}
        What the parameter changes.
    kind : str, optional
        Type in the table, where it does not follow from the JSON schema.
    unit, metavar : str, optional
        Unit, and placeholder of the value in the help.
    default_text : str, optional
        What no value means, in words.
    advanced : bool
        Rarely needed.
    repeat : bool
        The option may be given several times.
    flags : tuple of str
        Spellings on the command line, if they do not follow from the name.
    old : tuple of str
        Earlier spellings, which are still accepted and not shown.
    expects : str, optional
        What the value should be, for the message about a wrong one.
    """
    said = {"kind": kind, "unit": unit, "metavar": metavar, "default_text": default_text, "expects": expects}
    more = {"advanced": advanced, "repeat": repeat, "flags": list(flags), "old": list(old)}
    return {"about": {"group": group, "effect": effect, **said, **more}}


class Parameters(BaseModel):
    """Base of the models that describe the parameters of a command."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make parameters from plain values.

        Parameters
        ----------
        values : mapping
            Name (with underscores) to value; texts are converted.

        Raises
        ------
        UsageError
            One line that names the first parameter at fault and what it takes.
        """
        refuse_unknown(values, cls)
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(cls._fault(error)) from None

    @classmethod
    def flag(cls, name: str) -> str:
        """Return the command line's spelling of a parameter."""
        flags = cls._about(name)["flags"] or [flag_of(name)]
        return str(flags[0])

    @classmethod
    def effects(cls) -> dict[str, Effect]:
        """Return what each parameter changes."""
        return {name: cls._about(name)["effect"] for name in cls.model_fields}

    @classmethod
    def table(cls) -> list[Row]:
        """Describe every parameter as plain JSON values, in the order of the help text.

        Returns
        -------
        list of dict
            Per parameter: ``name``, ``flags`` (spellings on the command line), ``old_flags`` (earlier ones), ``type``
            (``string``, ``number``, ``integer``, ``boolean``, ``choice``, ``duration``, ``strings``, ``integers``,
            ``bounds``; the last three are one argument with commas), ``choices``, ``minimum``, ``maximum``,
            ``exclusive_minimum`` (bool), ``unit``, ``default``, ``default_text`` (what no value means), ``repeat``
            (may be given several times), ``help``, ``group``, ``advanced``, ``effect``, ``metavar``.
        """
        schema = cls.model_json_schema()["properties"]
        return [cls._row(name, schema[name]) for name in cls.model_fields]

    @classmethod
    def _about(cls, name: str) -> dict[str, Any]:
        extra = cls.model_fields[name].json_schema_extra
        assert isinstance(extra, dict), f"{cls.__name__}.{name} is described by about()"
        described = extra["about"]
        assert isinstance(described, dict)
        return described

    @classmethod
    def _row(cls, name: str, schema: dict[str, Any]) -> Row:
        known = cls._about(name)
        shape = next(part for part in schema.get("anyOf", [schema]) if part.get("type") != "null")
        item = shape.get("items", {}) if known["repeat"] else shape
        return {
            "name": name,
            "flags": known["flags"] or [flag_of(name)],
            "old_flags": known["old"],
            "type": known["kind"] or _kind(item),
            "choices": item.get("enum"),
            "minimum": shape.get("minimum", shape.get("exclusiveMinimum")),
            "exclusive_minimum": "exclusiveMinimum" in shape,
            "maximum": shape.get("maximum"),
            "unit": known["unit"],
            "default": schema.get("default"),
            "default_text": known["default_text"],
            "repeat": known["repeat"],
            "help": schema["description"],
            "group": known["group"],
            "advanced": known["advanced"],
            "effect": known["effect"],
            "metavar": known["metavar"],
        }

    @classmethod
    def _fault(cls, error: ValidationError) -> str:
        first = error.errors(include_url=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        if not first["loc"]:
            return message
        name = str(first["loc"][0])
        expects = cls._about(name)["expects"]
        out_of_bounds = first["type"].startswith(("greater_than", "less_than")) and len(first["loc"]) == 1
        message = f"should be {expects}" if expects and not out_of_bounds else re.sub("^Input ", "", message)
        kind = next(row["type"] for row in cls.table() if row["name"] == name)
        value = None if kind in ("strings", "integers", "bounds") else first["input"]
        shown = f" {value}" if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        return f"{cls.flag(name)}{shown}: {message}"


def flag_of(name: str) -> str:
    """Return the usual spelling of a parameter on the command line: ``bounds_crs`` is ``--bounds-crs``."""
    return "--" + name.replace("_", "-")


def refuse_unknown(values: Iterable[str], *kinds: type[Parameters]) -> None:
    """Refuse names that are parameters of none of the models.

    Raises
    ------
    UsageError
        With the names that are known.
    """
    known = [name for kind in kinds for name in kind.model_fields]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"no such option: {', '.join(unknown)}; known: {', '.join(known)}")


def share_of(values: Mapping[str, Any], kind: type[Parameters]) -> dict[str, Any]:
    """Take the values that belong to one model."""
    return {name: value for name, value in values.items() if name in kind.model_fields}


def _kind(shape: dict[str, Any]) -> str:
    """Name a type of the JSON schema as the table does."""
    if "enum" in shape:
        return "choice"
    if shape["type"] != "array":
        return str(shape["type"])
    if "prefixItems" in shape:
        return "bounds"
    return {"string": "strings", "integer": "integers"}[shape["items"]["type"]]


def _split(value: object) -> object:
    """Accept ``a,b,c`` where a sequence is wanted."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _split_each(value: object) -> object:
    """Accept ``a,b``, or a sequence of such texts."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
        return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())
    return value


def as_text(value: object) -> object:
    """Accept a path where a text is wanted."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def listed(value: object) -> object:
    """Accept a single text or path where a sequence is wanted."""
    return (value,) if isinstance(value, str | os.PathLike) else value


def _seconds(value: object) -> object:
    """Accept ``90s``, ``45m`` or ``2h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value) if isinstance(value, str) else None
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match[2]] if match else value


#: Sequences that are one argument with commas on the command line.
Names = Annotated[tuple[str, ...], BeforeValidator(_split), Field(min_length=1)]
BandNumbers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_split), Field(min_length=1)]
Box = Annotated[tuple[float, float, float, float], BeforeValidator(_split)]
#: Options that may be given several times: with commas between the texts, or one text each.
NameLists = Annotated[tuple[str, ...], BeforeValidator(_split_each)]
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
#: Seconds; on the command line a number with a unit.
Duration = Annotated[float, BeforeValidator(_seconds)]

#: Shared by all commands that run a network.
Device = Annotated[
    str,
    Field(
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where the network runs: auto, cpu, cuda, cuda:1, mps.",
        json_schema_extra=about("Machine", expects="auto, cpu, cuda, cuda:N or mps"),
    ),
]
BackendName = Annotated[
    Literal["auto", "torch"],
    Field(description="What runs the network.", json_schema_extra=about("Machine", advanced=True)),
]
Threads = Annotated[
    int | None,
    Field(
        ge=1,
        le=1024,
        description="Threads of the network on the CPU.",
        json_schema_extra=about("Machine", metavar="N", default_text="all cores", advanced=True),
    ),
]
TestTimeAugmentation = Annotated[
    Literal["none", "flip", "rot", "scale"],
    Field(
        description="Test-time augmentation: run the network on every tile mirrored (flip, 4 views), rotated (rot, "
        "4 views) or resized (scale, 3 views) and average; takes as many times longer.",
        json_schema_extra=about("Model", "result", advanced=True),
    ),
]
Overwrite = Annotated[bool, Field(description="Replace files that exist.", json_schema_extra=about("Output"))]
