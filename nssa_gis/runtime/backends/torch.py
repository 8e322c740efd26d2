"""The PyTorch backend in its fast form: folded, channels-last, bf16 where the hardware has it."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.decoding import detections_of
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.package import ModelPackage


class TorchBackend:
    """Run a package with PyTorch.

    On a CPU tiles go through one by one (as fast as a batch there, and the result cannot depend on the batch size),
    in bf16 where the CPU computes in it. On CUDA batches are pinned, copied without blocking and run under bf16 or
    fp16 autocast.

    Parameters
    ----------
    package : ModelPackage
        Weights and metadata.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:<i>`` or ``mps``.
    threads : int, optional
        CPU threads; PyTorch's own choice by default.

    Attributes
    ----------
    device : torch.device
        What was chosen.
    description : str
        The same for people.
    """

    def __init__(self, package: ModelPackage, device: str = "auto", threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.device = choose_device(device)
        self.info = package.info
        self.model = build_detector(package)
        self.dtype = torch.bfloat16 if self.device.type == "cpu" and cpu_has_bf16() else torch.float32
        if self.device.type == "cpu":
            fold_batch_norm(self.model)
        self.model.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def description(self) -> str:
        """Device and precision in words."""
        if self.device.type == "cpu":
            return f"torch {torch.__version__} on CPU, {self.precision}, {torch.get_num_threads()} threads"
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "Apple GPU"
        return f"torch {torch.__version__} on {self.device} ({name}), {self.precision}"

    @property
    def precision(self) -> str:
        """``bf16``, ``fp16 autocast``, ``bf16 autocast`` or ``fp32``."""
        if self.device.type == "cuda":
            return f"{'bf16' if torch.cuda.is_bf16_supported() else 'fp16'} autocast"
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"

    def predict(self, batch: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Detect in a batch of tiles.

        Parameters
        ----------
        batch : ndarray of uint8, shape (B, C, T, T)
            Tiles; T is a multiple of 64.
        score_threshold : float
            Boxes below this score are dropped.

        Returns
        -------
        TileDetections
            ``tile`` is the index in the batch; boxes in tile pixels.
        """
        side = (batch.shape[2], batch.shape[3])
        parts = []
        step = 1 if self.device.type == "cpu" else len(batch)
        with torch.inference_mode(), self._autocast():
            for start in range(0, len(batch), step):
                out = self.model(self._upload(batch[start : start + step]))
                found = detections_of(self.model, out, side, score_threshold, self.info.nms_iou)
                parts.append(found.replace(item=found.item + start))
        return TileDetections.concat(parts)

    def _upload(self, batch: NDArray[np.uint8]) -> torch.Tensor:
        tiles = torch.from_numpy(batch)
        if self.device.type == "cuda":
            tiles = tiles.pin_memory().to(self.device, non_blocking=True)
        else:
            tiles = tiles.to(self.device)
        return (tiles.float() / 255).to(self.dtype, memory_format=torch.channels_last)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.device.type != "cuda":
            return contextlib.nullcontext()
        return torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


def build_detector(package: ModelPackage) -> DetectionNetwork:
    """Build the network of a package in evaluation mode, float32, with its weights.

    Raises
    ------
    NssaError
        Metadata and weights do not fit this version of the network.
    """
    try:
        config, info = DetectorConfig.from_dict(package.info.network), package.info
        if (config.classes, config.in_channels) != (len(info.classes), len(info.bands)):
            raise ValueError(f"the network has {config.classes} classes and {config.in_channels} bands")
        weights = package.load_weights()
        with _Allowance(sum(v.numel() for v in weights.values())):
            model = DetectionNetwork(config)
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise NssaError(f"{package.path}: the package does not fit this version of nssa-gis ({reason})") from None
    return model.eval()


class _Allowance(TorchFunctionMode):
    """Stop the building of a network much larger than its weights: a wrong description must not take all memory.

    Parameters
    ----------
    numbers : int
        How many numbers the weights hold.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self._left = 20 * numbers + 1_000_000  # every tensor is seen several times: made, filled, registered

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self._left -= made.numel()
            if self._left < 0:
                raise ValueError("the network described is much larger than its weights")
        return made


def choose_device(asked: str) -> torch.device:
    """Resolve ``auto|cpu|cuda|cuda:<i>|mps``; auto takes CUDA, then MPS, then the CPU.

    Raises
    ------
    UsageError
        Unknown name.
    NssaError
        The device is not there.
    """
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise UsageError(f"unknown device {asked!r}; use auto, cpu, cuda, cuda:<number> or mps") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"unknown device {asked!r}; use auto, cpu, cuda, cuda:<number> or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise NssaError(
            f"device {asked!r} is not available: this PyTorch sees {torch.cuda.device_count()} CUDA devices; "
            "use --device cpu, or install a CUDA build of PyTorch (README)"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise NssaError("device 'mps' is not available here; use --device cpu")
    return device


def cpu_has_bf16() -> bool:
    """Whether the CPU computes in bf16 itself (AVX512-BF16 or AMX); elsewhere bf16 is emulated and slow."""
    capability = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(capability and capability())
