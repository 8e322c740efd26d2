"""``nssa-gis export``."""

from __future__ import annotations

from typing import Any

import click

import nssa_gis
from nssa_gis.detect.export import ExportOptions
from nssa_gis_cli.options import command, output_option


@command(ExportOptions)
@click.argument("model", metavar="MODEL")
@output_option("ONNX", "File to write (.onnx).")
def export(model: str, output: str, **options: Any) -> None:
    """Write MODEL (a built-in name or a package) as an ONNX file, and check it in ONNX Runtime.

    Input "images": float32, batch x bands x size x size, values 0 to 1 (an 8-bit image divided by 255). Output
    "output0": batch x (4 + classes) x points: x, y of the centre, width, height in pixels, and a probability per class,
    before suppression (the layout of Ultralytics' YOLOv8). The file carries the model's metadata and the keys that
    Deepness reads.

    \b
    nssa-gis export aerial-vehicles -o cars.onnx
    """
    result = nssa_gis.export(model, output, **options)
    click.echo(f"wrote {output}: opset {result.opset}; differs from PyTorch by {result.difference:.1e} at most")
