"""Many scenes, one layer each; a scene that fails never stops the rest."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyproj
import shapely

from nssa_gis.detect.detector import Detector
from nssa_gis.detect.journal import journal_path
from nssa_gis.detect.options import DetectArguments, DetectOptions, split_options
from nssa_gis.detect.run import detect_scene
from nssa_gis.errors import NssaError, UsageError, explained
from nssa_gis.events import Event, Progress, Reporter, silent
from nssa_gis.files import check_name, make_folder, masked
from nssa_gis.geo.aoi import OutsideScene
from nssa_gis.geo.crs import named_or_none
from nssa_gis.raster.scene import open_scene
from nssa_gis.scenes.finding import NothingReadable, find_scenes, output_names
from nssa_gis.scenes.overlaps import outline, overlapping
from nssa_gis.vector.reader import count_rows
from nssa_gis.vector.target import DRIVERS, driver_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: Pairs of scenes that overlap, in one message.
_PAIRS_SHOWN = 5

Status = Literal["done", "present", "outside", "failed", "unreadable"]


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
        ``done``; ``present`` (a run that was resumed had finished it); ``outside`` (it does not meet the area of
        interest); ``failed``; ``unreadable``.
    objects : int or None
        Number of objects in the layer, if it is done or present.
    seconds : float
        Wall clock.
    message : str
        The error if it failed, or why it was left out.
    """

    scene: str
    output: Path
    status: Status
    objects: int | None
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class BatchResult:
    """Results of all scenes.

    Attributes
    ----------
    outcomes : tuple of Outcome
        In the order in which the scenes were run.
    warnings : tuple of str
        What concerns several scenes: files left out, scenes that overlap.
    """

    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 all done that meet the area of interest, 1 some failed or none meets it, 3 none could be read."""
        states = Counter(o.status for o in self.outcomes)
        if states["unreadable"] == len(self.outcomes):
            return NothingReadable.exit_code
        return 1 if states["failed"] or states["unreadable"] or states["outside"] == len(self.outcomes) else 0


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
        Folders, patterns or files; see :func:`nssa_gis.scenes.finding.find_scenes`.
    folder : str or path
        Where the layers go; made if it does not exist.
    detector : Detector, optional
        A model ready to run; otherwise one is made from ``options``.
    progress : callable, optional
        Receives the events of all scenes, each with ``scene``, ``number`` and ``scenes``, and warnings without them
        that concern several scenes.
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
        See :func:`nssa_gis.scenes.finding.find_scenes`.
    folder : str or path
        Where the layers go; made if missing.
    options : DetectOptions, optional
        The same for all scenes. ``of`` chooses the format (GeoPackage by default); with ``resume`` existing layers
        are kept and interrupted scenes go on.
    progress : callable, optional
        Receives the events of all scenes, each with ``scene``, ``number`` and ``scenes``, and warnings without them
        that concern several scenes.

    Returns
    -------
    BatchResult

    Raises
    ------
    NssaError
        What would fail for every scene: no scenes, the model, the folder.
    """
    options = options or DetectOptions()
    _check_folder_name(folder)
    report = Reporter(progress)
    finding = find_scenes(inputs)
    scenes = [one.path for one in finding.scenes]
    outputs = output_names(finding.scenes, Path(folder), _extension(options.of))
    named = named_or_none(options.crs, "--crs")
    make_folder(Path(folder), "choose another output folder")
    for note in finding.notes:
        report.warn(note)
    outcomes, outlines = [], []
    for number, (scene, output) in enumerate(zip(scenes, outputs, strict=True), 1):

        def tagged(event: Event, scene: str = scene, number: int = number) -> None:
            (progress or silent)({**event, "scene": scene, "number": number, "scenes": len(scenes)})

        outcome = _run_one(detector, scene, output, options, tagged)
        outcomes.append(outcome)
        outlines.append(_outline(scene, named) if outcome.status in ("done", "present") else None)
    for note in _about_all(scenes, outcomes, outlines):
        report.warn(note)
    return BatchResult(tuple(outcomes), tuple(report.warnings))


def _check_folder_name(folder: str | os.PathLike[str]) -> None:
    check_name(folder, "the output folder")
    suffix = Path(folder).suffix.lower()
    if suffix in DRIVERS and not os.path.isdir(folder):
        raise UsageError(
            f"{folder}: batch writes one layer a scene, so its output is a folder, not a {suffix} file; give a folder, "
            "or run detect on one scene after the other with --append"
        )


def _about_all(scenes: list[str], outcomes: list[Outcome], outlines: list[shapely.Polygon | None]) -> Iterator[str]:
    """Tell what no single scene shows."""
    if all(outcome.status == "outside" for outcome in outcomes):
        yield "no scene meets the area of interest; check the area and its CRS"
    pairs = overlapping(scenes, outlines)
    if pairs:
        shown = "; ".join(f"{masked(a)} and {masked(b)} by {share:.0%}" for a, b, share in pairs[:_PAIRS_SHOWN])
        more = f"; and {len(pairs) - _PAIRS_SHOWN} more" if len(pairs) > _PAIRS_SHOWN else ""
        yield (
            f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of scenes overlap: {shown}{more}; objects there are in "
            "the layers of both, so do not add up their numbers"
        )


def _extension(driver: str | None) -> str:
    if driver is None:
        return ".gpkg"
    chosen = driver_of("layer.shp", driver)
    return next(extension for extension, name in DRIVERS.items() if name == chosen)


def _run_one(detector: Detector, scene: str, output: Path, options: DetectOptions, progress: Progress) -> Outcome:
    started = time.monotonic()
    if options.resume and output.exists() and not journal_path(output).exists():
        return _present(scene, output, started, progress)
    # A scene that was not begun before the interruption has nothing to resume; that needs no warning.
    fresh = options.resume and not journal_path(output).exists()
    settings = options.model_copy(update={"resume": False}) if fresh else options
    try:
        result = detect_scene(detector, scene, output, settings, progress=progress)
    except OutsideScene as error:
        return Outcome(scene, output, "outside", None, time.monotonic() - started, str(error))
    except Exception as error:  # an error in one scene must not stop the others
        known = explained(error)
        progress({"event": "error", "message": str(known), "exit_code": known.exit_code})
        status: Status = "failed" if _readable(scene) else "unreadable"
        return Outcome(scene, output, status, None, time.monotonic() - started, str(known))
    return Outcome(scene, output, "done", result.objects, time.monotonic() - started)


def _present(scene: str, output: Path, started: float, progress: Progress) -> Outcome:
    """Count what a layer of an earlier run holds."""
    try:
        objects = count_rows(output)
    except NssaError as error:
        message = f"{error}; delete it, or make all layers again with --overwrite"
        progress({"event": "error", "message": message, "exit_code": error.exit_code})
        return Outcome(scene, output, "failed", None, time.monotonic() - started, message)
    return Outcome(scene, output, "present", objects, time.monotonic() - started)


def _outline(scene: str, crs: pyproj.CRS | None) -> shapely.Polygon | None:
    try:
        with open_scene(scene, crs) as opened:
            return outline(opened.frame)
    except NssaError:  # its own run told what is wrong with it
        return None


def _readable(scene: str) -> bool:
    try:
        open_scene(scene).close()
    except NssaError:
        return False
    return True
