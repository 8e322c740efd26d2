"""From a model package to a file that other programs run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from nssa_gis.detect.parameters import Overwrite, Parameters, about
from nssa_gis.errors import UsageError
from nssa_gis.files import check_free
from nssa_gis.model.config import PAD_MULTIPLE
from nssa_gis.runtime.package import load_package


class ExportOptions(Parameters):
    """Parameters of an export."""

    opset: int = Field(
        default=17,
        ge=17,
        le=20,
        description="Version of the ONNX operators.",
        json_schema_extra=about("Output", "output", metavar="N"),
    )
    input_size: int | None = Field(
        default=None,
        ge=64,
        description="Side of the images that the graph takes; a multiple of 64.",
        json_schema_extra=about("Output", "output", unit="px", metavar="PX", default_text="the model's tile"),
    )
    overwrite: Overwrite = False


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote.

    Attributes
    ----------
    output : Path
        The ONNX file.
    opset : int
        Version of the ONNX operators.
    difference : float
        Largest difference from PyTorch, of a probability or of a coordinate as a share of the image's side.
    """

    output: Path
    opset: int
    difference: float


def export(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    opset: int = 17,
    input_size: int | None = None,
    overwrite: bool = False,
) -> ExportResult:
    """Write a model as an ONNX file, and compare it with PyTorch in ONNX Runtime.

    Parameters
    ----------
    model : str or path
        Name of a built-in model, or a ``.safetensors`` file.
    output : str or path
        The file, ending in ``.onnx``.
    opset : int
        Version of the ONNX operators, 17 to 20.
    input_size : int, optional
        Side of the images that the graph takes, pixels, a multiple of 64; the model's tile by default.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    UsageError
        A value is out of bounds, or the folder of ``output`` does not exist.
    NssaError
        The file exists, the model cannot be read, ``onnx`` or ``onnxruntime`` is missing, or the exported graph
        computes something else.
    """
    options = ExportOptions.parse({"opset": opset, "input_size": input_size, "overwrite": overwrite})
    output = Path(output)
    if output.suffix != ".onnx":
        raise UsageError(f"{output}: an ONNX file ends in .onnx")
    check_free(output, options.overwrite)
    if options.input_size and options.input_size % PAD_MULTIPLE:
        raise UsageError(f"--input-size {options.input_size}: must be a multiple of {PAD_MULTIPLE}")
    package = load_package(model)
    from nssa_gis.runtime.export import export_onnx  # imports torch, which takes seconds: after the checks

    return ExportResult(output, options.opset, export_onnx(package, output, options.opset, options.input_size))
