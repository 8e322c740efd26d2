"""Many scenes, one layer each; a scene that fails never stops the rest."""

from __future__ import annotations

import glob
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nssa_gis.detect.detector import Detector
from nssa_gis.detect.journal import journal_path
from nssa_gis.detect.options import DetectArguments, DetectOptions, split_options
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError
from nssa_gis.events import Event, Progress, silent
from nssa_gis.files import check_name, masked
from nssa_gis.raster.scene import open_scene
from nssa_gis.vector.target import DRIVERS, driver_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: What counts as a scene in a folder; a file named by itself may be called anything.
SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg", ".sid", ".ecw")

Status = Literal["done", "present", "failed", "unreadable"]


class NothingReadable(NssaError):
    """No scene of a batch could be read."""

    exit_code = 3


@dataclass(frozen=True)
class Outcome:
    """Result of one scene.

    Attributes
    ----------
    scene : str
        As found.
    output : Path
        Its layer.
    status : str
        ``done``; ``present`` (a run that was resumed had finished it); ``failed``; ``unreadable``.
    objects : int or None
        Number of objects written, if it is done.
    seconds : float
        Wall clock.
    message : str
        The error, if it failed.
    """

    scene: str
    output: Path
    status: Status
    objects: int | None
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class BatchResult:
    """Results of all scenes, in the order in which they were run."""

    outcomes: tuple[Outcome, ...]

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some failed, 3 none could be read."""
        states = Counter(o.status for o in self.outcomes)
        if states["unreadable"] == len(self.outcomes):
            return NothingReadable.exit_code
        return 1 if states["failed"] or states["unreadable"] else 0


def find_scenes(inputs: Sequence[str | os.PathLike[str]]) -> list[str]:
    """List the scenes of folders, patterns and files, each once.

    Parameters
    ----------
    inputs : sequence of str or path
        A folder gives the images in it (not in its subfolders), by their extension; ``*``, ``?``, ``[]`` and
        ``**`` are patterns; anything else is taken as a scene, whether it is there or not.

    Returns
    -------
    list of str
        In the order of ``inputs``, by name within each.

    Raises
    ------
    NothingReadable
        There is not one.
    """
    found: list[str] = []
    for given in inputs:
        text = os.fspath(given)
        if os.path.isdir(text):
            names = sorted(os.listdir(text))
            found += [os.path.join(text, n) for n in names if n.lower().endswith(SUFFIXES)]
        elif glob.has_magic(text) and not os.path.exists(text):
            found += [path for path in sorted(glob.glob(text, recursive=True)) if os.path.isfile(path)]
        else:
            found.append(text)
    if not found:
        raise NothingReadable(
            f"no scene found in: {', '.join(map(str, inputs))}; give folders of images ({', '.join(SUFFIXES)}), "
            "patterns or files"
        )
    return list(dict.fromkeys(found))


def output_names(scenes: Sequence[str], folder: Path, extension: str) -> list[Path]:
    """Name each scene's layer by the scene; scenes of one name in several folders get the folder's name too.

    Raises
    ------
    NssaError
        Two scenes would still get one name.
    """
    paths = [Path(masked(scene).replace("*", "")) for scene in scenes]
    same = Counter(path.stem.casefold() for path in paths)
    names = [
        path.stem if same[path.stem.casefold()] == 1 else f"{path.parent.name}_{path.stem}{path.suffix}".strip("_")
        for path in paths
    ]
    clash = [scene for scene, name in zip(scenes, names, strict=True) if names.count(name) > 1]
    if clash:
        raise NssaError(f"these scenes would be written to one layer: {', '.join(clash)}; run them separately")
    return [folder / (name + extension) for name in names]


def batch(
    scenes: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    detector: Detector | None = None,
    progress: Progress | None = None,
    **options: Unpack[DetectArguments],
) -> BatchResult:
    """Find objects in many scenes and write one layer each; a scene that fails does not stop the others.

    Parameters
    ----------
    scenes : str, path or sequence of them
        Folders, patterns or files; see :func:`find_scenes`.
    folder : str or path
        Where the layers go; made if it does not exist.
    detector : Detector, optional
        A model ready to run; otherwise one is made from ``options``.
    progress : callable, optional
        Receives the events of all scenes, each with ``scene``, ``number`` and ``scenes``.
    **options
        Fields of :class:`nssa_gis.detect.options.DetectOptions` and, without ``detector``, of
        :class:`nssa_gis.detect.options.DetectorOptions`.

    Returns
    -------
    BatchResult

    Raises
    ------
    UsageError, NssaError
        What would fail for every scene: no scenes, the options, the model, the folder.

    Examples
    --------
    >>> nssa_gis.batch("flights", "cars", of="FlatGeobuf").exit_code  # doctest: +SKIP
    0
    """
    inputs = [scenes] if isinstance(scenes, str | os.PathLike) else scenes
    if detector is not None:
        return run_batch(detector, inputs, folder, DetectOptions.parse(options), progress=progress)
    settings, run = split_options(options)
    with Detector.of_options(settings) as made:
        return run_batch(made, inputs, folder, run, progress=progress)


def run_batch(
    detector: Detector,
    inputs: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    options: DetectOptions | None = None,
    *,
    progress: Progress | None = None,
) -> BatchResult:
    """Run over many scenes with one model.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    inputs : sequence of str or path
        See :func:`find_scenes`.
    folder : str or path
        Where the layers go; made if missing.
    options : DetectOptions, optional
        The same for all scenes. ``of`` chooses the format (GeoPackage by default); with ``resume`` existing layers
        are kept and interrupted scenes go on.
    progress : callable, optional
        Receives the events of all scenes, each with ``scene``, ``number`` and ``scenes``.

    Returns
    -------
    BatchResult

    Raises
    ------
    NssaError
        What would fail for every scene: no scenes, the model, the folder.
    """
    check_name(folder, "the output folder")
    options = options or DetectOptions()
    scenes = find_scenes(inputs)
    outputs = output_names(scenes, Path(folder), _extension(options.of))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise NssaError(f"cannot make the output folder: {folder} ({error.strerror})") from error
    outcomes = []
    for number, (scene, output) in enumerate(zip(scenes, outputs, strict=True), 1):

        def tagged(event: Event, scene: str = scene, number: int = number) -> None:
            (progress or silent)({**event, "scene": scene, "number": number, "scenes": len(scenes)})

        outcomes.append(_run_one(detector, scene, output, options, tagged))
    return BatchResult(tuple(outcomes))


def _extension(driver: str | None) -> str:
    if driver is None:
        return ".gpkg"
    chosen = driver_of("layer.shp", driver)
    return next(extension for extension, name in DRIVERS.items() if name == chosen)


def _run_one(detector: Detector, scene: str, output: Path, options: DetectOptions, progress: Progress) -> Outcome:
    started = time.monotonic()
    if options.resume and output.exists() and not journal_path(output).exists():
        return Outcome(scene, output, "present", None, 0.0)
    # A scene that was not begun before the interruption has nothing to resume; that needs no warning.
    fresh = options.resume and not journal_path(output).exists()
    settings = options.model_copy(update={"resume": False}) if fresh else options
    try:
        result = detect_scene(detector, scene, output, settings, progress=progress)
    except Exception as error:  # an error in one scene must not stop the others
        message = str(error) if isinstance(error, NssaError) else f"{type(error).__name__}: {error}"
        progress({"event": "error", "message": message, "exit_code": getattr(error, "exit_code", 1)})
        status: Status = "failed" if _readable(scene) else "unreadable"
        return Outcome(scene, output, status, None, time.monotonic() - started, message)
    return Outcome(scene, output, "done", result.objects, time.monotonic() - started)


def _readable(scene: str) -> bool:
    try:
        open_scene(scene).close()
    except NssaError:
        return False
    return True
