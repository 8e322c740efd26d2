"""The PyTorch backend in its fast form: folded, channels-last, bf16 where the hardware has it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.environment import forked_with_torch
from nssa_gis.errors import NssaError, UsageError, memory_error
from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.decoding import detections_of
from nssa_gis.runtime.folding import fold_batch_norm
from nssa_gis.runtime.package import ModelPackage


class TorchBackend:
    """Run a network with PyTorch.

    On a CPU tiles go through one by one (as fast as a batch there, and the result cannot depend on the batch size). On
    CUDA batches are pinned and copied without blocking.

    Parameters
    ----------
    model : DetectionNetwork
        In evaluation mode, on its device and of its type; see :meth:`of_package` for the fast form of a package.
    nms_iou : float
        IoU above which two boxes of a tile are one object.
    autocast : torch.dtype, optional
        Type of mixed precision.
    threads : int, optional
        CPU threads while the network runs; PyTorch's own choice by default.

    Attributes
    ----------
    device : torch.device
        Where the network is.
    """

    def __init__(
        self,
        model: DetectionNetwork,
        nms_iou: float,
        *,
        autocast: torch.dtype | None = None,
        threads: int | None = None,
    ) -> None:
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.model, self.nms_iou = model, nms_iou
        self._autocast_type, self._threads = autocast, threads

    @classmethod
    def of_package(cls, package: ModelPackage, device: str = "auto", threads: int | None = None) -> TorchBackend:
        """Build the network of a package in its fast form.

        On a CPU it is folded and runs in bf16 where the processor computes in it, on CUDA under bf16 or fp16 autocast.

        Parameters
        ----------
        package : ModelPackage
            Weights and metadata.
        device : str
            ``auto``, ``cpu``, ``cuda``, ``cuda:<i>`` or ``mps``.
        threads : int, optional
            CPU threads while the network runs.

        Raises
        ------
        UsageError
            Unknown device.
        NssaError
            The device is not there or has too little memory, or the package is damaged.
        """
        with _explained():
            chosen = choose_device(device)
            model = build_detector(package)
            autocast, dtype = None, torch.float32
            if chosen.type == "cpu":
                fold_batch_norm(model)
                dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
            elif chosen.type == "cuda":
                autocast = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
            model.to(chosen, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(model, package.info.nms_iou, autocast=autocast, threads=threads)

    @property
    def description(self) -> str:
        """Device and precision in words."""
        if self.device.type == "cpu":
            threads = 1 if forked_with_torch() else self._threads or torch.get_num_threads()
            return f"torch {torch.__version__} on CPU, {self.precision}, {threads} threads"
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "Apple GPU"
        return f"torch {torch.__version__} on {self.device} ({name}), {self.precision}"

    @property
    def precision(self) -> str:
        """``bf16``, ``fp16 autocast``, ``bf16 autocast`` or ``fp32``."""
        name = {torch.bfloat16: "bf16", torch.float16: "fp16"}
        if self._autocast_type is not None:
            return f"{name[self._autocast_type]} autocast"
        return name.get(self.dtype, "fp32")

    @property
    def batch_size(self) -> int:
        """Tiles per call: on a CPU small batches lose nothing and let a run stop sooner; a GPU wants large ones."""
        return 4 if self.device.type == "cpu" else 16

    def predict(self, batch: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Detect in a batch of tiles; see :class:`nssa_gis.runtime.backends.protocol.Backend`."""
        side = (batch.shape[2], batch.shape[3])
        parts = []
        step = 1 if self.device.type == "cpu" else len(batch)
        with _explained(), cpu_threads(self._threads), torch.inference_mode(), self._autocast():
            for start in range(0, len(batch), step):
                out = self.model(self._upload(batch[start : start + step]))
                found = detections_of(self.model, out, side, score_threshold, self.nms_iou)
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
        if self._autocast_type is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self._autocast_type)


def _one_thread_in_a_fork() -> None:
    """Use one thread in a forked process: a call that hands work to threads that are gone waits for ever."""
    if forked_with_torch():
        torch.set_num_threads(1)


_one_thread_in_a_fork()  # the process may have been forked before this module was loaded
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread_in_a_fork)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say in one line what PyTorch says of memory and of forked processes."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if short := memory_error(error):
            raise short from error
        if "forked subprocess" in str(error):
            raise NssaError(
                "the GPU cannot be used in a process that was forked from one that used it; start worker processes by "
                "'spawn' instead of 'fork', or give --device cpu"
            ) from error
        raise


@contextlib.contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Set PyTorch's threads, which belong to the whole process, and put them back; a forked process has one."""
    count = 1 if forked_with_torch() else count
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        raise memory_error(error) or NssaError(
            f"{package.path}: the package does not fit this version of nssa-gis ({reason})"
        ) from None
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
