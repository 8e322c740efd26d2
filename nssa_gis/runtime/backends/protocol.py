"""What every backend offers, and the choice among them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.errors import UsageError
from nssa_gis.files import check_working_folder
from nssa_gis.runtime.package import ModelPackage


class Backend(Protocol):
    """What runs a network on tiles."""

    @property
    def description(self) -> str:
        """Library, device and precision in words."""
        ...

    @property
    def batch_size(self) -> int:
        """Tiles per call that suit the device."""
        ...

    def predict(self, batch: NDArray[np.uint8], score_threshold: float) -> TileDetections:
        """Detect in tiles.

        Parameters
        ----------
        batch : ndarray of uint8, shape (B, C, T, T)
            Tiles.
        score_threshold : float
            Boxes below this score are dropped.

        Returns
        -------
        TileDetections
            ``item`` is the index in the batch; boxes are in tile pixels.
        """
        ...


def create_backend(
    package: ModelPackage, device: str = "auto", backend: str = "auto", threads: int | None = None
) -> Backend:
    """Make the backend that runs ``package``.

    Parameters
    ----------
    package : ModelPackage
        The model.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:<i>`` or ``mps``.
    backend : str
        ``auto`` or ``torch``.
    threads : int, optional
        CPU threads of the network.

    Raises
    ------
    UsageError
        Unknown backend or device.
    NssaError
        The device is not there, the package is damaged, or the working folder was removed.
    """
    if backend not in ("auto", "torch"):
        raise UsageError(f"unknown backend {backend!r}; use auto or torch")
    check_working_folder()
    from nssa_gis.runtime.backends.torch import TorchBackend

    return TorchBackend.of_package(package, device, threads)
