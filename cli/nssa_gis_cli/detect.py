"""``nssa-gis detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nssa_gis_cli.console import Interrupted, progress
from nssa_gis_cli.options import (
    DetectCommand,
    debug_option,
    detect_options,
    given,
    output_option,
    progress_option,
)


@click.command(cls=DetectCommand)
@click.argument("scene")
@output_option
@detect_options
@progress_option
@debug_option
def detect(scene: str, output: str, progress_mode: str, debug: bool, **values: Any) -> None:
    """Find objects in SCENE and write them as a vector layer.

    SCENE is any image that GDAL reads, also an http(s) address or a /vsi path. It is resampled to the model's
    ground sample distance, looked at tile by tile, and the layer appears when it is complete.

    \b
    nssa-gis detect scene.tif -o cars.gpkg
    nssa-gis detect scene.tif -o cars.geojson --classes vehicle --confidence 0.5
    nssa-gis detect scene.tif -o cars.gpkg --aoi town.gpkg:centre
    """
    settings, options = given(values)
    from nssa_gis.detect.detector import make_detector
    from nssa_gis.detect.journal import journal_path
    from nssa_gis.detect.run import detect_scene

    try:
        with progress(progress_mode) as show, make_detector(settings) as detector:
            result = detect_scene(detector, scene, output, options, progress=show)
    except KeyboardInterrupt:
        kept = journal_path(Path(output)).exists()
        hint = "finished tile rows are kept, go on with --resume" if kept else "nothing was finished"
        raise Interrupted(f"interrupted: {output}; {hint}") from None
    click.echo(f"{output}: {describe(result.objects, result.classes)} in {result.seconds:.1f} s")


def describe(objects: int, classes: dict[str, int]) -> str:
    """``312 objects (car 300, truck 12)``."""
    parts = ", ".join(f"{name} {n}" for name, n in sorted(classes.items(), key=lambda item: -item[1]))
    return f"{objects} object{'' if objects == 1 else 's'}" + (f" ({parts})" if parts else "")
