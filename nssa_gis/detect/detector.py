"""The detector: the seam between what finds objects and what is searched."""

from __future__ import annotations

import os
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.detect.options import DetectorOptions
from nssa_gis.runtime.backends.protocol import Backend, create_backend
from nssa_gis.runtime.package import DEFAULT_MODEL, ModelInfo, ModelPackage, load_package
from nssa_gis.runtime.views import Augmentation, with_views

if TYPE_CHECKING:
    import torch

    from nssa_gis.model.network import DetectionNetwork


class Detector:
    """A model ready to run over any number of scenes: package, backend, device, threads and test-time augmentation.

    The package is read at once; the network is built when it is first needed.

    Parameters
    ----------
    model : ModelPackage, str or path
        A package, the name of a built-in model, or a model file.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:<i>`` or ``mps``.
    backend : str
        ``auto`` or ``torch``.
    threads : int, optional
        CPU threads of the network; all cores by default.
    tta : {"none", "flip", "rot", "scale"}
        Test-time augmentation.

    Attributes
    ----------
    info : ModelInfo
        Classes, bands, GSD, tile, overlap and thresholds of the model.
    files : tuple of str
        Files that the model is read from.
    tta : str
        Test-time augmentation, as asked.

    Raises
    ------
    NssaError
        There is no such model, or the file is no model package.

    Examples
    --------
    >>> with nssa_gis.Detector(device="cpu") as detector:  # doctest: +SKIP
    ...     for name in ("north", "south"):
    ...         nssa_gis.detect(f"{name}.tif", f"{name}.gpkg", detector=detector)
    """

    def __init__(
        self,
        model: ModelPackage | str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
        tta: Augmentation = "none",
    ) -> None:
        package = model if isinstance(model, ModelPackage) else load_package(model)
        self.info: ModelInfo = package.info
        self.files: tuple[str, ...] = (os.fspath(package.path),)
        self.tta: Augmentation = tta
        self._package = package
        self._settings = (device, backend, threads)
        self._backend: Backend | None = None

    @classmethod
    def of_options(cls, options: DetectorOptions) -> Detector:
        """Make the detector that options describe.

        Raises
        ------
        NssaError
            There is no such model, or the file is no model package.
        """
        model = DEFAULT_MODEL if options.model is None else options.model
        return cls(model, device=options.device, backend=options.backend, threads=options.threads, tta=options.tta)

    @classmethod
    def of_backend(cls, backend: Backend, info: ModelInfo, *, tta: Augmentation = "none") -> Detector:
        """Make a detector of a backend that is no model file.

        Parameters
        ----------
        backend : Backend
            Anything with ``description``, ``batch_size`` and ``predict``.
        info : ModelInfo
            What it expects and finds.
        tta : {"none", "flip", "rot", "scale"}
            Test-time augmentation.
        """
        detector = cls.__new__(cls)
        detector.info, detector.files, detector.tta = info, (), tta
        detector._backend = with_views(backend, tta)
        return detector

    @classmethod
    def of_network(
        cls,
        network: DetectionNetwork,
        info: ModelInfo,
        *,
        autocast: torch.dtype | None = None,
        tta: Augmentation = "none",
    ) -> Detector:
        """Make a detector of a network in memory, such as one in training.

        Parameters
        ----------
        network : DetectionNetwork
            In evaluation mode, on its device; it is used as it is.
        info : ModelInfo
            What it expects and finds.
        autocast : torch.dtype, optional
            Type of mixed precision.
        tta : {"none", "flip", "rot", "scale"}
            Test-time augmentation.
        """
        from nssa_gis.runtime.backends.torch import TorchBackend

        return cls.of_backend(TorchBackend(network, info.nms_iou, autocast=autocast), info, tta=tta)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file, hexadecimal; empty where there is none."""
        return self._package.digest if self.files else ""

    @property
    def description(self) -> str:
        """Library, device and precision in words."""
        return self._running.description

    @property
    def batch_size(self) -> int:
        """Tiles per call that suit the device."""
        return self._running.batch_size

    def predict(self, tiles: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Detect in tiles.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (B, C, T, T)
            At the GSD of the model; T is a multiple of the network's stride.
        score_threshold : float
            Boxes below this score are dropped.

        Returns
        -------
        TileDetections
            ``item`` is the index in the batch; boxes are in tile pixels.
        """
        return self._running.predict(tiles, score_threshold)

    def close(self) -> None:
        """Let go of the network and its memory; it is built again when it is needed again."""
        if self.files:
            self._backend = None

    @property
    def _running(self) -> Backend:
        if self._backend is None:
            device, backend, threads = self._settings
            self._backend = with_views(create_backend(self._package, device, backend, threads), self.tta)
        return self._backend

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> ModelPackage:
    """Find a model and read what its package says; the network is not built.

    Parameters
    ----------
    name_or_path : str or path
        Name of a built-in model or a model file.

    Raises
    ------
    NssaError
        There is no such model, or the file is no model package.
    """
    return load_package(name_or_path)
