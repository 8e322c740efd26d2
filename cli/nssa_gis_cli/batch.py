"""``nssa-gis batch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nssa_gis.files import masked
from nssa_gis_cli.console import Interrupted, progress
from nssa_gis_cli.options import DetectCommand, debug_option, detect_options, given, progress_option

if TYPE_CHECKING:
    from nssa_gis.scenes.batch import BatchResult


@click.command(cls=DetectCommand)
@click.argument("scenes", nargs=-1, required=True)
@click.option("-o", "--output", "folder", required=True, metavar="OUT_DIR", help="Folder for the layers.")
@detect_options
@progress_option
@debug_option
def batch(scenes: tuple[str, ...], folder: str, progress_mode: str, debug: bool, **values: Any) -> int:
    """Run detect over SCENES: folders, patterns or files; one layer a scene.

    A scene that fails is reported and the rest goes on. With --resume layers that are there are left alone and
    interrupted scenes go on. Exit code 1 if some scenes failed, 3 if none could be read.

    \b
    nssa-gis batch flights/ -o cars/
    nssa-gis batch 'flights/**/*.tif' -o cars/ --of FlatGeobuf
    """
    settings, options = given(values)
    from nssa_gis.detect.detector import make_detector
    from nssa_gis.scenes.batch import run_batch

    try:
        with progress(progress_mode) as show, make_detector(settings) as detector:
            result = run_batch(detector, scenes, folder, options, progress=show)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {folder}; finished scenes are kept, go on with --resume") from None
    click.echo(table(result))
    return result.exit_code


def table(result: BatchResult) -> str:
    """One line a scene and a last one for all, without passwords."""
    from nssa_gis.files import printable

    rows = [("scene", "status", "objects", "seconds", "")]
    for outcome in result.outcomes:
        objects = "" if outcome.objects is None else str(outcome.objects)
        note = outcome.message or str(outcome.output)
        rows.append((printable(Path(outcome.scene).name), outcome.status, objects, f"{outcome.seconds:.1f}", note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, status, objects, seconds, note in rows:
        cells = (name.ljust(widths[0]), status.ljust(widths[1]), objects.rjust(widths[2]), seconds.rjust(widths[3]))
        lines.append("  ".join((*cells, note)).rstrip())
    good = sum(outcome.status in ("done", "present") for outcome in result.outcomes)
    total = sum(outcome.objects or 0 for outcome in result.outcomes)
    lines.append(f"{good} of {len(result.outcomes)} scenes, {total} objects")
    return masked("\n".join(lines))
