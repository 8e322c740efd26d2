"""A model package as one ONNX file."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.package import ModelInfo, ModelPackage

#: Names of the graph's input and output.
INPUT, OUTPUT = "images", "output0"


class OnnxDetector(nn.Module):
    """A network with the output layout of YOLOv8, which viewers of ONNX detectors read.

    Parameters
    ----------
    detector : DetectionNetwork
        In evaluation mode.
    height, width : int
        Size of the images, pixels; multiples of 64.
    """

    points: Tensor
    strides: Tensor

    def __init__(self, detector: DetectionNetwork, height: int, width: int) -> None:
        super().__init__()
        self.detector = detector
        points, strides = detector.points(height, width)
        self.register_buffer("points", points.T.contiguous(), persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(B, C, H, W)``, values 0 to 1, to ``(B, 4 + classes, P)``.

        Per point: x and y of the centre, width and height in pixels, then a score per class. Without NMS.
        """
        out = self.detector(images)
        left_top, right_bottom = (self.strides * out.distances.transpose(1, 2).clamp(-6, 6).exp()).chunk(2, 1)
        centre = self.points + (right_bottom - left_top) / 2
        return torch.cat((centre, left_top + right_bottom, out.logits.transpose(1, 2).sigmoid()), 1)


def export_onnx(package: ModelPackage, path: Path, opset: int = 17, side: int | None = None) -> float:
    """Write a package's network as ONNX and compare it with PyTorch in ONNX Runtime.

    The graph is float32 with BatchNorm folded; the batch size is free, the image size fixed. The metadata are those
    of the package (key ``nssa_gis``, JSON) and those that the QGIS plugin Deepness reads.

    Parameters
    ----------
    package : ModelPackage
        The model.
    path : Path
        The ``.onnx`` file; written whole or not at all.
    opset : int
        Version of the operator set, from 17.
    side : int, optional
        Side of the image, pixels; the package's tile by default.

    Returns
    -------
    float
        Largest difference of a probability, or of a coordinate as a share of the image's side, on noise.

    Raises
    ------
    NssaError
        onnx or onnxruntime is missing, the package is damaged, or the exported graph computes something else.
    """
    side = side or package.info.tile
    detector = build_detector(package)
    fold_batch_norm(detector)
    data = onnx_bytes(detector, opset, side, metadata(package.info, side))
    error = difference(detector, data, side)
    if not error < 1e-4:
        raise NssaError(f"{path}: not written: ONNX Runtime differs from PyTorch by {error:.1e}; try another --opset")
    with atomic_write(path) as partial:
        partial.write_bytes(data)
    return error


def onnx_bytes(detector: DetectionNetwork, opset: int, side: int, properties: dict[str, str]) -> bytes:
    """Trace a detector into a checked ONNX model with metadata properties."""
    try:
        import onnx
    except ImportError:
        raise NssaError("onnx is not installed; pip install 'nssa-gis[onnx]'") from None
    buffer = io.BytesIO()
    graph = OnnxDetector(detector, side, side).eval()
    image = torch.zeros(1, detector.config.in_channels, side, side)
    with warnings.catch_warnings(), torch.no_grad():
        # the tracer warns of sizes that become constants, which is intended, and that it is deprecated
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (image,),
            buffer,  # type: ignore[arg-type]  # a stream works, too
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
            dynamo=False,  # the other exporter needs onnxscript
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def metadata(info: ModelInfo, side: int) -> dict[str, str]:
    """Metadata of the ONNX file: ours, and that of Deepness (resolution in cm per pixel, overlap in per cent)."""
    own = info.model_dump(mode="json", exclude={"metrics"})
    deepness = {
        "model_type": "Detector",
        "det_type": "YOLO_Ultralytics",
        "class_names": {str(k): name for k, name in enumerate(info.classes)},
        "resolution": round(info.gsd * 100, 4),
        "tiles_size": side,
        "tiles_overlap": round(100 * info.overlap / side),
        "det_conf": info.score_threshold,
        "det_iou_thresh": info.nms_iou,
    }
    return {"nssa_gis": json.dumps(own)} | {k: json.dumps(v) for k, v in deepness.items()}


def difference(detector: DetectionNetwork, data: bytes, side: int) -> float:
    """Run two noise images through PyTorch and ONNX Runtime; see :func:`export_onnx` for the measure."""
    try:
        import onnxruntime
    except ImportError:
        raise NssaError("onnxruntime is not installed; pip install 'nssa-gis[onnx]'") from None
    images = torch.rand(2, detector.config.in_channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = OnnxDetector(detector, side, side)(images)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    got = torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])
    apart = (got - expected).abs()
    return max(float(apart[:, :4].max()) / side, float(apart[:, 4:].max()))
