"""``nssa-gis export``."""

from __future__ import annotations

from pathlib import Path

import click

from nssa_gis.errors import NssaError, UsageError
from nssa_gis_cli.options import debug_option


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="ONNX", help="File to write (.onnx)."
)
@click.option(
    "--opset",
    type=click.IntRange(17, 20),
    default=17,
    show_default=True,
    metavar="N",
    help="Version of ONNX' operators.",
)
@click.option(
    "--input-size",
    type=click.IntRange(min=64),
    metavar="PX",
    help="Side of the images the graph takes, a multiple of 64.  [default: the model's tile]",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@debug_option
def export(model: str, output: Path, opset: int, input_size: int | None, overwrite: bool, debug: bool) -> None:
    """Write MODEL (a built-in name or a package) as an ONNX file, and check it in ONNX Runtime.

    Input "images": float32, batch x bands x size x size, values 0 to 1 (an 8-bit image divided by 255). Output
    "output0": batch x (4 + classes) x points: x, y of the centre, width, height in pixels, and a probability per class,
    before suppression (the layout of Ultralytics' YOLOv8). The file carries the model's metadata and the keys that
    Deepness reads.

    \b
    nssa-gis export aerial-vehicles -o cars.onnx
    """
    from nssa_gis.model.config import PAD_MULTIPLE
    from nssa_gis.runtime.package import load_package

    if output.suffix != ".onnx":
        raise UsageError(f"{output}: an ONNX file ends in .onnx")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: the folder {output.parent} does not exist")
    if output.exists() and not overwrite:
        raise NssaError(f"{output}: exists already; give another name or --overwrite")
    if input_size and input_size % PAD_MULTIPLE:
        raise UsageError(f"--input-size {input_size}: must be a multiple of {PAD_MULTIPLE}")
    from nssa_gis.runtime.export import export_onnx

    package = load_package(model)
    error = export_onnx(package, output, opset, input_size)
    click.echo(f"wrote {output}: opset {opset}; differs from PyTorch by {error:.1e} at most")
