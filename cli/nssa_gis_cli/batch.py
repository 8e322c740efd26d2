"""``nssa-gis batch``."""

from __future__ import annotations

from typing import Any

import click

import nssa_gis
from nssa_gis.detect.options import DetectOptions, DetectorOptions
from nssa_gis_cli.console import Interrupted, progress
from nssa_gis_cli.options import command, output_option
from nssa_gis_cli.tables import batch_table


@command(DetectorOptions, DetectOptions, progress=True)
@click.argument("scenes", nargs=-1, required=True)
@output_option("OUT_DIR", "Folder for the layers.")
def batch(scenes: tuple[str, ...], output: str, progress_mode: str, **options: Any) -> int:
    """Run detect over SCENES: folders, patterns or files; one layer a scene.

    A folder gives every image in it, but not in its subfolders: a pattern with ** looks there. A layer is named by its
    scene, with the subfolders of a pattern in front. A scene that fails is reported, and the others are processed; one
    outside --aoi is left out. With --resume, finished layers are kept and interrupted scenes go on. Exit code 1 if some
    scenes failed, 3 if none could be read.

    \b
    nssa-gis batch flights/ -o cars/
    nssa-gis batch 'flights/**/*.tif' -o cars/ --of FlatGeobuf
    """
    try:
        with progress(progress_mode) as show:
            result = nssa_gis.batch(scenes, output, progress=show, **options)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {output}; finished scenes are kept, go on with --resume") from None
    click.echo(batch_table(result))
    return result.exit_code
