"""From a scene to a layer: plan, tiles, seams, records.

A run has two halves. The first runs the network over the tiles, row by row, and puts what it finds into the journal;
the second makes the layer from the journal. A run that is interrupted anywhere has its journal, and a resumed run makes
its layer in the same way from the same records, so it cannot come out different.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nssa_gis import __version__
from nssa_gis.boxes.columns import GridDetections, SceneDetections
from nssa_gis.detect.detector import Detector
from nssa_gis.detect.fingerprint import fingerprint
from nssa_gis.detect.journal import Journal, journal_path
from nssa_gis.detect.options import DetectArguments, DetectOptions, split_options
from nssa_gis.detect.plan import Plan, make_plan
from nssa_gis.detect.result import DetectResult
from nssa_gis.detect.tiles import TileRows
from nssa_gis.errors import NssaError
from nssa_gis.events import Progress, Reporter
from nssa_gis.files import OutputLock, check_name, keep_inputs, masked, remove_leftovers
from nssa_gis.geo.crs import named_or_none
from nssa_gis.raster.scene import Scene, open_scene
from nssa_gis.seams.merge import SeamMerger
from nssa_gis.vector.areas import split_area
from nssa_gis.vector.geopackage import row_state
from nssa_gis.vector.schema import LayerInfo, records
from nssa_gis.vector.target import Mode, Target, inspect_target, output_files
from nssa_gis.vector.writer import write_layer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_log = logging.getLogger(__name__)


def detect_scene(
    detector: Detector,
    scene: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DetectOptions | None = None,
    *,
    progress: Progress | None = None,
) -> DetectResult:
    """Find objects in a scene and write them as a vector layer.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    scene : str or path
        Anything GDAL reads: a file, a ``/vsi`` path, an http(s) address.
    output : str or path
        The layer; it appears when it is complete, never before.
    options : DetectOptions, optional
        Parameters; all have defaults.
    progress : callable, optional
        Receives the events of :mod:`nssa_gis.events`.

    Returns
    -------
    DetectResult

    Raises
    ------
    UsageError
        Options that do not fit the scene, the model or each other.
    NssaError
        Everything else that a user can act on: an unreadable scene, an output that exists, a full disk...
    KeyboardInterrupt
        Passed through; what was finished is kept, and ``resume=True`` continues there.
    """
    started = time.monotonic()
    options = options or DetectOptions()
    report = Reporter(progress)
    check_name(output, "the output")
    named = Path(output)
    output = Path(os.path.realpath(named)) if named.is_symlink() else named  # one lock, whatever the name
    crs = named_or_none(options.crs, "--crs")
    with open_scene(scene, crs, use_alpha=not options.no_alpha) as opened:
        _keep_inputs(opened, output, detector, options)
        plan = make_plan(opened, detector.info, options)
        for warning in plan.warnings:
            report.warn(warning)
        with OutputLock(output) as lock, _begun(opened, output, detector, options, report) as (journal, target):
            if not lock.supported:
                report.warn(
                    f"{output.parent}: its file system has no locks; see to it that no other run writes {output.name}"
                )
            resumed = journal.tiles
            _announce(plan, opened, output, detector, journal, report)
            rows = TileRows(
                plan,
                opened,
                detector,
                report,
                after=journal.last_row,
                batch_size=options.batch_size,
                readers=options.readers,
            )
            for row in rows:
                journal.append(row.row, row.found, row.tiles)
            if not journal.tiles:
                report.warn(f"no tile holds a valid pixel: {opened.path}; the layer will be empty")
            info = _layer_info(plan, opened, detector, options)
            counts = write_layer(_batches(plan, journal, opened, info, output, report), target, info)
            journal.remove()
        result = DetectResult(
            output=output,
            objects=sum(counts.values()),
            classes={detector.info.classes[label]: n for label, n in counts.items()},
            tiles=journal.tiles,
            tiles_skipped=plan.empty + len(plan.ids) - journal.tiles,
            tiles_resumed=resumed,
            megapixels=opened.frame.width * opened.frame.height / 1e6,
            seconds=time.monotonic() - started,
            seconds_model=rows.seconds_model,
            seconds_waiting=rows.seconds_waiting,
            gsd=plan.gsd,
            model=f"{detector.info.name} {detector.info.version}",
            backend=detector.description,
            warnings=tuple(report.warnings),
        )
    report("done", **result.summary())
    return result


def detect(
    scene: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    detector: Detector | None = None,
    progress: Progress | None = None,
    **options: Unpack[DetectArguments],
) -> DetectResult:
    """Find objects in a scene and write them as a vector layer.

    Parameters
    ----------
    scene : str or path
        Anything GDAL reads.
    output : str or path
        The layer; the format goes by the extension.
    detector : Detector, optional
        A model ready to run, to use it for many scenes; otherwise one is made from ``options``.
    progress : callable, optional
        Receives the events of :mod:`nssa_gis.events`.
    **options
        Fields of :class:`nssa_gis.detect.options.DetectOptions` and, without ``detector``, of
        :class:`nssa_gis.detect.options.DetectorOptions`.

    Returns
    -------
    DetectResult

    Raises
    ------
    NssaError
        See :func:`detect_scene`.

    Examples
    --------
    >>> nssa_gis.detect("scene.tif", "cars.gpkg", confidence=0.5).objects  # doctest: +SKIP
    312
    """
    if detector is not None:
        return detect_scene(detector, scene, output, DetectOptions.parse(options), progress=progress)
    settings, run = split_options(options)
    with Detector.of_options(settings) as made:
        return detect_scene(made, scene, output, run, progress=progress)


def find_objects(
    detector: Detector,
    scene: Scene,
    options: DetectOptions | None = None,
    *,
    gsd: float | None = None,
    progress: Progress | None = None,
) -> SceneDetections:
    """Find the objects of a scene and return them: the same way as :func:`detect_scene`, without a layer.

    Parameters
    ----------
    detector : Detector
        The model, ready to run.
    scene : Scene
        Open.
    options : DetectOptions, optional
        What concerns the output has no effect.
    gsd : float, optional
        GSD of the scene in metres per pixel, if its file does not state it.
    progress : callable, optional
        Receives ``tile`` events and warnings.

    Returns
    -------
    SceneDetections
        By falling score; boxes in pixels of the scene.

    Raises
    ------
    UsageError, NssaError
        As :func:`nssa_gis.detect.plan.make_plan`; or the scene cannot be read.
    """
    options = options or DetectOptions()
    report = Reporter(progress)
    plan = make_plan(scene, detector.info, options, native_gsd=gsd)
    for warning in plan.warnings:
        report.warn(warning)
    rows = TileRows(plan, scene, detector, report, batch_size=options.batch_size, readers=options.readers)
    found = SceneDetections.concat([part for _, part in assemble(plan, ((row.row, row.found) for row in rows))])
    return found.take(np.argsort(-found.scores, kind="stable"))


def assemble(plan: Plan, rows: Iterable[tuple[int, GridDetections]]) -> Iterator[tuple[int, SceneDetections]]:
    """Merge finished rows over the seams; one row of tiles is in memory at a time.

    Parameters
    ----------
    plan : Plan
    rows : iterable of (int, GridDetections)
        Rows of tiles, ascending.

    Yields
    ------
    done : int
        Rows of the grid that are merged.
    objects : SceneDetections
        What became final with them.
    """
    merger = SeamMerger(plan.grid)
    for row, found in rows:
        yield row + 1, plan.to_scene(merger.add_row(row, found))
    yield plan.grid.rows, plan.to_scene(merger.finish())


def _batches(
    plan: Plan, journal: Journal, scene: Scene, info: LayerInfo, output: Path, report: Reporter
) -> Iterator[pa.RecordBatch]:
    """Yield the records of the layer, one row of tiles after another, and report the progress."""
    count = 0
    for done, objects in assemble(plan, journal.rows()):
        yield records(objects, scene.frame, info)
        count += len(objects)
        report("merge", done=done, total=plan.grid.rows, objects=count)
    report("write", objects=count, output=str(output))


def _keep_inputs(scene: Scene, output: Path, detector: Detector, options: DetectOptions) -> None:
    """Raise an error if the output is also an input."""
    area = [] if options.aoi is None else [split_area(options.aoi)[0]]
    keep_inputs(output_files(output, options.of), [*scene.files, *detector.files, *area])


@contextlib.contextmanager
def _begun(
    scene: Scene, output: Path, detector: Detector, options: DetectOptions, report: Reporter
) -> Iterator[tuple[Journal, Target]]:
    """Give the journal of a run, that of an interrupted one or a new one, and the target of its layer.

    What the output may refuse comes before any work. A journal without a finished row is removed at the end; an error
    says that finished rows are kept.
    """
    mark = fingerprint(scene, detector, options)
    journal = _earlier_journal(output, mark, options, report)
    try:
        remove_leftovers(output)
        if journal is None:
            mode: Mode = "append" if options.append else "overwrite" if options.overwrite else "new"
            target = _inspect(output, mode, scene, options)
            state = {"mode": mode, "output": _state(target)}
            journal = Journal.create(journal_path(output), mark, {**state, "backend": detector.description})
        else:
            target = _inspect(output, journal.info["mode"], scene, options)
            if journal.info.get("mode") == "append" and journal.info.get("output") != _state(target):
                raise NssaError(
                    f"the layer changed since the interrupted run began: {output}; its rows may be in it already; "
                    f"if they are not, delete {journal.path} and append again"
                )
            if journal.info.get("backend") != detector.description:
                report.warn(
                    f"the interrupted run used {journal.info.get('backend')}, this one uses {detector.description}; "
                    "scores may differ in the last digits"
                )
        _log.debug("journal %s, rows up to %d are done", journal.path, journal.last_row)
        try:
            yield journal, target
        except NssaError as error:
            if journal.last_row < 0 or "--resume" in str(error):
                raise
            raise type(error)(f"{error}; finished tile rows are kept, go on with --resume") from error
    finally:
        if journal is not None:
            journal.close()
            if journal.last_row < 0:
                journal.remove()


def _earlier_journal(output: Path, mark: dict[str, object], options: DetectOptions, report: Reporter) -> Journal | None:
    """Open the journal of an interrupted run if it is to be continued."""
    path = journal_path(output)
    if not path.exists():
        if options.resume and output.exists():
            raise NssaError(
                f"nothing to resume: {output} has no journal, so it is complete; --overwrite makes it again"
            )
        if options.resume:
            report.warn(f"nothing to resume: {output} has no journal; starting from the beginning")
        return None
    if options.resume:
        return Journal.resume(path, mark)
    if options.overwrite:
        return None
    raise NssaError(
        f"an interrupted run of this output left its journal: {path}; "
        "continue it with --resume, or start afresh with --overwrite"
    )


def _announce(plan: Plan, scene: Scene, output: Path, detector: Detector, journal: Journal, report: Reporter) -> None:
    report(
        "start",
        scene=scene.path,
        output=str(output),
        model=f"{detector.info.name} {detector.info.version}",
        backend=detector.description,
        **plan.summary(),
        tiles_done=int(np.count_nonzero(plan.grid.rows_of(plan.ids) <= journal.last_row)),
    )


def _inspect(output: Path, mode: Mode, scene: Scene, options: DetectOptions) -> Target:
    """Inspect the output, in the mode in which the run was started."""
    return inspect_target(
        output,
        scene.frame,
        driver=options.of,
        mode=mode,
        t_crs=options.t_crs,
        geometry=options.geometry,
    )


def _layer_info(plan: Plan, scene: Scene, detector: Detector, options: DetectOptions) -> LayerInfo:
    model, path = detector.info, scene.path
    given = options.model_dump(mode="json", exclude_defaults=True)
    metadata = {
        "software": f"nssa-gis {__version__}",
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "scene_path": os.path.abspath(path) if os.path.exists(path) else masked(path),
        "backend": detector.description,
        "gsd_m": "" if plan.gsd is None else f"{plan.gsd:.6g}",
        "tile_px": str(plan.grid.tile),
        "overlap_px": str(plan.grid.effective_overlap),
        "confidence": f"{plan.threshold:g}",
        "options": masked("; ".join(f"{name}={value}" for name, value in given.items())),
        "model_licence": model.licence,
        "model_sha256": detector.digest,
    }
    return LayerInfo(
        scene=scene.name,
        model=model.name,
        model_version=model.version,
        classes=model.classes,
        geometry=options.geometry,
        metadata=metadata,
    )


def _state(target: Target) -> list[int] | None:
    """Give what changes as rows are added to the layer; None where there is none."""
    return None if target.existing is None else row_state(target.path, target.existing.name)
