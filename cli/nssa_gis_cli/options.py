"""Options shared by commands; those of a detection run are made from ``nssa_gis.detect.options``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nssa_gis.detect.options import DetectOptions, DetectorOptions, options_table, split_options

F = TypeVar("F", bound=Callable[..., Any])

output_option = click.option(
    "-o", "--output", required=True, metavar="OUT", help="Layer to write; the format goes by its extension."
)
progress_option = click.option(
    "--progress",
    "progress_mode",
    type=click.Choice(["auto", "bar", "json", "none"]),
    default="auto",
    show_default=True,
    help="How to show progress: a bar, JSON lines on stderr, or nothing; auto is a bar on a terminal.",
)
debug_option = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


_METAVARS = {"number": "NUMBER", "integer": "N", "string": "TEXT"}


class _Option(click.Option):
    """An option that knows its section of the help."""

    section = "Other"

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Show a default in words without the parentheses that click puts around it."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str) and "default" in extra:
            extra["default"] = self.show_default
        return extra


class DetectCommand(click.Command):
    """A command whose help lists the options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                section = getattr(parameter, "section", "General")
                sections.setdefault(section, []).append(record)
        for section, rows in sorted(sections.items(), key=lambda item: item[0] != "General"):
            with formatter.section(section):
                formatter.write_dl(rows)


def detect_options(function: F) -> F:
    """Add every option of a detection run to a command; values come in as keyword arguments."""
    for row in reversed(options_table()):
        function = _add(function, row)
    return function


def given(values: dict[str, Any]) -> tuple[DetectorOptions, DetectOptions]:
    """Make options from a command's keyword arguments, without those not given."""
    return split_options({name: value for name, value in values.items() if value is not None})


def _add(function: F, row: dict[str, Any]) -> F:
    unit = f" [{row['unit']}]" if row["unit"] else ""
    settings: dict[str, Any] = {"help": row["help"] + unit, "cls": _Option, "default": row["default"]}
    if row["type"] == "boolean":
        settings["is_flag"] = True
    else:
        settings |= {"type": _type(row), "metavar": row["metavar"] or _METAVARS.get(row["type"])}
        settings["show_default"] = row["default_text"] or True
    decorated = click.option(row["name"], *row["flags"], **settings)(function)
    decorated.__click_params__[-1].section = row["group"]  # type: ignore[attr-defined]
    return decorated


def _type(row: dict[str, Any]) -> click.ParamType[Any]:
    bounds = {"min": row["minimum"], "max": row["maximum"]}
    if row["type"] == "number":
        return click.FloatRange(**bounds, min_open=row["exclusive_minimum"])
    if row["type"] == "integer":
        return click.IntRange(**bounds, min_open=row["exclusive_minimum"])
    return click.Choice(row["choices"]) if row["type"] == "choice" else click.STRING
