"""Options of the commands: made from the parameter models of :mod:`nssa_gis`; those of the terminal are added here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import Field

from nssa_gis.detect.parameters import Overwrite, Parameters, Row, about
from nssa_gis.files import check_working_folder
from nssa_gis_cli.console import Interrupted

Function = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

#: Sections of the help, in this order; others follow.
_SECTIONS = ("General", "Data", "Labels", "Scoring", "Model", "Scene", "Tiling", "Training", "Machine", "Output")
_METAVARS = {"number": "NUMBER", "integer": "N", "string": "TEXT", "path": "PATH", "duration": "TIME"}


class ReportOptions(Parameters):
    """Files that a command writes besides what it prints."""

    json_file: Path | None = Field(
        default=None,
        description="Write all figures as JSON.",
        json_schema_extra=about("Output", "output", metavar="FILE", flags=("--json",)),
    )
    curve: Path | None = Field(
        default=None,
        description="Draw the precision-recall curves (of the first protocol).",
        json_schema_extra=about("Output", "output", metavar="PNG"),
    )
    overwrite: Overwrite = False


def output_option(metavar: str, help_text: str) -> Callable[[Function], Function]:
    """Make the option ``-o``, which every command that writes a file has."""
    return click.option("-o", "--output", required=True, metavar=metavar, help=help_text)


def command(*models: type[Parameters], progress: bool = False, **settings: Any) -> Callable[[Function], click.Command]:
    """Make a command of a function, with an option for every parameter of the models, ``--debug`` and ``--progress``.

    Parameters
    ----------
    *models : type of Parameters
        Their values come in as keyword arguments; those that are not given are left out.
    progress : bool
        Add ``--progress``, which comes in as ``progress_mode``.
    **settings
        As ``click.command`` takes them.
    """

    def decorate(function: Function) -> click.Command:
        made = click.command(cls=_Command, **settings)(function)
        options = [_option(row) for model in models for row in model.table()]
        names = {option.name for option in options}

        def call(**values: Any) -> Any:
            check_working_folder()
            given = {k: v for k, v in values.items() if k not in names or v not in (None, ())}
            try:
                return function(**given)
            except KeyboardInterrupt as error:  # click itself would print an empty line and drop the text
                raise Interrupted(str(error) or "interrupted") from None

        made.callback = call
        made.params += [*options, *([_progress()] if progress else []), _debug()]
        return made

    return decorate


class _Command(click.Command):
    """A command whose help lists the options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in _SECTIONS}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "General"), []).append(record)
        for section, rows in sections.items():
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


class _Option(click.Option):
    """An option that knows its section of the help, and earlier spellings that are not shown."""

    def __init__(self, *args: Any, section: str, old: list[str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section, self.old = section, old

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Leave out the earlier spellings."""
        opts = self.opts
        self.opts = [name for name in opts if name not in self.old]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = opts

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the option by its present spellings."""
        return " / ".join(f"'{name}'" for name in self.opts if name not in self.old)

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Show a default in words without the parentheses that click puts around it."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str) and "default" in extra:
            extra["default"] = self.show_default
        return extra


def _option(row: Row) -> _Option:
    unit = f" [{row['unit']}]" if row["unit"] else ""
    default = None if row["default"] in ([], {}) else row["default"]
    settings: dict[str, Any] = {"help": row["help"] + unit, "default": default}
    if row["type"] == "boolean":
        settings["is_flag"] = True
    else:
        settings |= {"type": _type(row), "metavar": row["metavar"] or _METAVARS.get(row["type"])}
        settings |= {"multiple": row["repeat"], "show_default": row["default_text"] or True}
    names = [row["name"], *row["flags"], *row["old_flags"]]
    return _Option(names, section=row["group"], old=row["old_flags"], **settings)


def _type(row: Row) -> click.ParamType[Any]:
    bounds: dict[str, Any] = {"min": row["minimum"], "max": row["maximum"]}
    if row["type"] == "number":
        return click.FloatRange(**bounds, min_open=row["exclusive_minimum"])
    if row["type"] == "integer":
        return click.IntRange(**bounds, min_open=row["exclusive_minimum"])
    return click.Choice(row["choices"] or []) if row["type"] == "choice" else click.STRING


def _progress() -> click.Option:
    return click.Option(
        ["--progress", "progress_mode"],
        type=click.Choice(["auto", "bar", "json", "none"]),
        default="auto",
        show_default=True,
        help="How to show progress: a bar, JSON lines on stderr, or nothing; auto is a bar on a terminal.",
    )


def _debug() -> click.Option:
    # main() looks for it among the arguments: an error while they are parsed is shown in full, too
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        help="Show what is decided on the way, and the traceback of an error.",
    )
