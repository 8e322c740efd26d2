"""The few names that programs use, exported from :mod:`nssa_gis`."""

from __future__ import annotations

import os

from nssa_gis.detect.options import parse_options
from nssa_gis.detect.run import DetectResult, detect_scene
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.events import Progress
from nssa_gis.runtime.backends.protocol import Backend, create_backend
from nssa_gis.runtime.package import DEFAULT_MODEL, ModelPackage, load_package

__all__ = ["DetectResult", "Detector", "ModelPackage", "NssaError", "detect", "load_model"]


def load_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> ModelPackage:
    """Find a model and read what its package says; the network is not built.

    Parameters
    ----------
    name_or_path : str or path
        Name of a built-in model or a ``.safetensors`` file.

    Raises
    ------
    NssaError
        There is no such model, or the file is no model package.
    """
    return load_package(name_or_path)


class Detector:
    """A model ready to run over many scenes.

    Parameters
    ----------
    model : ModelPackage, str or path
        A package, or what :func:`load_model` takes.
    device, backend, threads
        As in :class:`nssa_gis.detect.options.DetectOptions`.

    Attributes
    ----------
    package : ModelPackage
        The model.

    Examples
    --------
    >>> detector = nssa_gis.Detector(device="cpu")  # doctest: +SKIP
    >>> detector.detect("scene.tif", "cars.gpkg", classes="vehicle").objects  # doctest: +SKIP
    312
    """

    def __init__(
        self,
        model: ModelPackage | str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        backend: str = "auto",
        threads: int | None = None,
    ) -> None:
        parse_options({"device": device, "backend": backend, "threads": threads})
        self.package = model if isinstance(model, ModelPackage) else load_package(model)
        self._settings = (device, backend, threads)
        self._backend: Backend | None = None

    @property
    def backend(self) -> Backend:
        """What runs the network; built when it is first needed."""
        if self._backend is None:
            self._backend = create_backend(self.package, *self._settings)
        return self._backend

    def detect(
        self,
        scene: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        **options: object,
    ) -> DetectResult:
        """Find objects in a scene and write them as a vector layer; see :func:`detect`.

        Raises
        ------
        UsageError
            Also for ``model``, ``device``, ``backend`` and ``threads``, which belong to the detector.
        """
        settled = [name for name in ("model", "device", "backend", "threads") if name in options]
        if settled:
            raise UsageError(f"{', '.join(settled)}: settled for this detector; give it to Detector(...)")
        return detect_scene(
            scene,
            output,
            parse_options(options),
            progress=progress,
            package=self.package,
            backend=self.backend,
        )


def detect(
    scene: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: object,
) -> DetectResult:
    """Find objects in a scene and write them as a vector layer.

    Parameters
    ----------
    scene : str or path
        Anything GDAL reads.
    output : str or path
        The layer; the format goes by the extension.
    progress : callable, optional
        Receives the events of :mod:`nssa_gis.events`.
    **options
        Fields of :class:`nssa_gis.detect.options.DetectOptions`.

    Returns
    -------
    DetectResult

    Raises
    ------
    NssaError
        See :func:`nssa_gis.detect.run.detect_scene`.
    """
    return detect_scene(scene, output, parse_options(options), progress=progress)
