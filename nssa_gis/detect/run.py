"""From a scene to a layer: the one place where the rooms meet.

A run has two halves. The first looks at the tiles, row by row, and puts what it finds into the journal; the
second makes the layer from the journal. A run that is interrupted anywhere has its journal, and a resumed run
makes its layer in the same way from the same records, so it cannot come out different.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nssa_gis import __version__
from nssa_gis.boxes.columns import GridDetections, SceneDetections, TileDetections
from nssa_gis.detect.gather import RowGatherer
from nssa_gis.detect.journal import Journal, journal_path
from nssa_gis.detect.lock import OutputLock
from nssa_gis.detect.options import DetectOptions
from nssa_gis.detect.plan import Plan, fingerprint, make_plan
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.events import Progress, Reporter
from nssa_gis.files import check_name, keep_inputs, masked
from nssa_gis.raster.reader import TileBatch, TileReader
from nssa_gis.raster.scene import Scene, open_scene
from nssa_gis.runtime.backends.protocol import Backend, create_backend
from nssa_gis.runtime.package import ModelPackage, load_package
from nssa_gis.runtime.views import with_views
from nssa_gis.seams.merge import SeamMerger
from nssa_gis.vector.areas import split_area
from nssa_gis.vector.schema import LayerInfo, records
from nssa_gis.vector.writers import LayerWriter, check_output, open_writer, output_files


@dataclass(frozen=True)
class DetectResult:
    """What a run did.

    Attributes
    ----------
    output : Path
        The layer.
    objects : int
        Objects written.
    classes : dict of str to int
        The same by class name; classes without an object are left out.
    tiles, tiles_skipped : int
        Tiles looked at, and tiles without a valid pixel, by this run and the one it continued.
    tiles_resumed : int
        How many of ``tiles`` an interrupted run had done.
    megapixels : float
        Pixels of the scene, in millions.
    seconds : float
        Wall clock of this run.
    seconds_model, seconds_waiting : float
        Of these, in the network, and waiting for pixels.
    gsd : float or None
        Metres per pixel the network saw.
    model, backend : str
        Model name and version; what ran it.
    warnings : tuple of str
        What the user was told.
    """

    output: Path
    objects: int
    classes: dict[str, int]
    tiles: int
    tiles_skipped: int
    tiles_resumed: int
    megapixels: float
    seconds: float
    seconds_model: float
    seconds_waiting: float
    gsd: float | None
    model: str
    backend: str
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """All attributes as JSON values, times to the millisecond."""
        values = {**asdict(self), "output": str(self.output), "warnings": list(self.warnings)}
        return {k: round(v, 3) if k.startswith(("seconds", "megapixels")) else v for k, v in values.items()}


def detect_scene(
    scene: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DetectOptions | None = None,
    *,
    progress: Progress | None = None,
    package: ModelPackage | None = None,
    backend: Backend | None = None,
) -> DetectResult:
    """Find objects in a scene and write them as a vector layer.

    Parameters
    ----------
    scene : str or path
        Anything GDAL reads: a file, a ``/vsi`` path, an http(s) address.
    output : str or path
        The layer; it appears when it is complete, never before.
    options : DetectOptions, optional
        Parameters; all have defaults.
    progress : callable, optional
        Receives the events of :mod:`nssa_gis.events`.
    package : ModelPackage, optional
        Use this model instead of the one that ``options`` names.
    backend : Backend, optional
        Use this instead of making one for the package; to run many scenes with one.

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
    output = Path(output)
    check_ready(options, package, backend)
    with open_scene(scene) as opened:
        package = package or (load_package() if options.model is None else load_package(options.model))
        _keep_inputs(opened, output, package, options)
        plan = make_plan(opened, package, options, report)
        with OutputLock(output):
            return _Run(opened, output, package, plan, options, report, started).execute(backend)


def check_ready(options: DetectOptions, package: ModelPackage | None, backend: Backend | None) -> None:
    """Refuse options that a package or a backend made before has settled already.

    Raises
    ------
    UsageError
        ``model`` with a package, or ``device``, ``backend`` or ``threads`` with a backend.
    """
    settled = [] if package is None else ["model"]
    settled += [] if backend is None else ["device", "backend", "threads"]
    defaults = DetectOptions()
    given = [name for name in settled if getattr(options, name) != getattr(defaults, name)]
    if given:
        raise UsageError(f"{', '.join(given)}: settled when the model was loaded; give it there, not for one run")


def _keep_inputs(scene: Scene, output: Path, package: ModelPackage, options: DetectOptions) -> None:
    """Refuse to write over what is read."""
    inputs = [*scene.files, os.fspath(package.path)]
    if options.aoi is not None:
        inputs.append(split_area(options.aoi)[0])
    keep_inputs(output_files(output, options.of), inputs)


@dataclass
class _Run:
    """One run while it lasts; the output is locked.

    Attributes
    ----------
    started : float
        ``time.monotonic()`` at the start.
    digest : str
        SHA-256 of the model package.
    seconds_model, seconds_waiting : float
        Where the time went.
    """

    scene: Scene
    output: Path
    package: ModelPackage
    plan: Plan
    options: DetectOptions
    report: Reporter
    started: float
    digest: str = ""
    seconds_model: float = 0.0
    seconds_waiting: float = 0.0

    def execute(self, backend: Backend | None) -> DetectResult:
        path = journal_path(self.output)
        mark = fingerprint(self.scene, self.package, self.options)
        self.digest = mark["model"]["sha256"]
        journal = self._earlier_journal(path, mark)
        info: dict[str, Any] = {"mode": _mode(self.options), "output": _state(self.output)}
        if journal is not None:
            info = journal.info
        try:
            # What the writer may refuse (format, CRS, an existing file) comes before the work.
            _remove_leftovers(self.output)
            self._open_layer(info, "").abort()
            backend = backend or create_backend(
                self.package, self.options.device, self.options.backend, self.options.threads
            )
            backend = with_views(backend, self.options.tta)
            if journal is None:
                journal = Journal.create(path, mark, {**info, "backend": backend.description})
            elif info.get("backend") != backend.description:
                self.report.warn(
                    f"the interrupted run used {info.get('backend')}, this one uses {backend.description}; "
                    "scores may differ in the last digits"
                )
            resumed = journal.tiles
            self._announce(backend, journal)
            writer = self._work(backend, journal, info)
            journal.remove()
        finally:
            if journal is not None:
                journal.close()
                if journal.last_row < 0:
                    journal.remove()
        return self._result(backend, journal, writer, resumed)

    def _work(self, backend: Backend, journal: Journal, info: dict[str, Any]) -> LayerWriter:
        """Do both halves; an error says that what is finished is kept."""
        try:
            self._find(backend, journal)
            with self._open_layer(info, backend.description) as writer:
                self._write(journal, writer)
        except NssaError as error:
            if journal.last_row < 0 or "--resume" in str(error):
                raise
            raise type(error)(f"{error}; finished tile rows are kept, go on with --resume") from error
        return writer

    def _earlier_journal(self, path: Path, mark: dict[str, Any]) -> Journal | None:
        """Open the journal of an interrupted run if it is to be continued."""
        if not path.exists():
            if self.options.resume and self.output.exists():
                raise NssaError(
                    f"nothing to resume: {self.output} has no journal, so it is complete; --overwrite makes it again"
                )
            if self.options.resume:
                self.report.warn(f"nothing to resume: {self.output} has no journal; starting from the beginning")
            return None
        if self.options.resume:
            return Journal.resume(path, mark)
        if self.options.overwrite:
            return None
        raise NssaError(
            f"an interrupted run of this output left its journal: {path}; "
            "continue it with --resume, or start afresh with --overwrite"
        )

    def _open_layer(self, info: dict[str, Any], backend: str) -> LayerWriter:
        """Open the layer in the mode in which the run was started; a resumed run has it from the journal."""
        mode = info.get("mode")
        check_output(self.output, mode == "overwrite", driver=self.options.of, append=mode == "append")
        if mode == "append" and info.get("output") != _state(self.output):
            raise NssaError(
                f"the layer changed since the interrupted run began: {self.output}; "
                f"its rows may be in it already; if they are not, delete {journal_path(self.output)} and append again"
            )
        return open_writer(
            self.output,
            self._layer_info(backend),
            driver=self.options.of,
            t_crs=self.options.t_crs,
            overwrite=mode == "overwrite",
            append=mode == "append",
        )

    def _layer_info(self, backend: str = "") -> LayerInfo:
        model, grid = self.package.info, self.plan.grid
        given = self.options.model_dump(mode="json", exclude_defaults=True)
        path = self.scene.path
        metadata = {
            "software": f"nssa-gis {__version__}",
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "scene_path": os.path.abspath(path) if os.path.exists(path) else masked(path),
            "backend": backend,
            "gsd_m": "" if self.plan.gsd is None else f"{self.plan.gsd:.6g}",
            "tile_px": str(grid.tile),
            "overlap_px": str(grid.effective_overlap),
            "confidence": f"{self.plan.threshold:g}",
            "options": masked("; ".join(f"{name}={value}" for name, value in given.items())),
            "model_licence": model.licence,
            "model_sha256": self.digest,
        }
        return LayerInfo(
            scene=self.scene.name,
            model=model.name,
            model_version=model.version,
            classes=model.classes,
            crs=self.scene.frame.crs if self.scene.frame.georeferenced else None,
            geometry=self.options.geometry,
            metadata=metadata,
        )

    def _announce(self, backend: Backend, journal: Journal) -> None:
        plan = self.plan
        self.report(
            "start",
            scene=self.scene.path,
            output=str(self.output),
            model=f"{self.package.info.name} {self.package.info.version}",
            backend=backend.description,
            width=plan.grid.width,
            height=plan.grid.height,
            gsd=plan.gsd,
            scale=[float(s) for s in plan.scale],
            tile=plan.grid.tile,
            overlap=plan.grid.effective_overlap,
            tiles=len(plan.ids),
            tiles_done=int(np.count_nonzero(plan.grid.rows_of(plan.ids) <= journal.last_row)),
        )

    def _find(self, backend: Backend, journal: Journal) -> None:
        """Look at the tiles whose rows are not in the journal yet."""
        plan = self.plan
        rows = plan.grid.rows_of(plan.ids)
        left = rows > journal.last_row
        gatherer = RowGatherer(journal, np.unique(rows[left]))
        if left.any():
            with TileReader(
                self.scene,
                plan.grid,
                bands=plan.bands,
                scaling=plan.scaling,
                ids=plan.ids[left],
                batch_size=self.options.batch_size or _batch_size(backend),
                workers=self.options.workers or min(4, os.cpu_count() or 1),
            ) as reader:
                self._predict(reader, backend, gatherer)
        gatherer.finish()
        if not journal.tiles:
            self.report.warn(f"no tile holds a valid pixel: {self.scene.path}; the layer will be empty")

    def _predict(self, reader: TileReader, backend: Backend, gatherer: RowGatherer) -> None:
        plan = self.plan
        begun = free_since = time.monotonic()
        for batch in reader:
            asked = time.monotonic()
            self.seconds_waiting += asked - free_since
            found = backend.predict(batch.pixels, plan.candidate_threshold)
            free_since = time.monotonic()
            self.seconds_model += free_since - asked
            gatherer.add(batch.ids, plan.grid.rows_of(batch.ids), _on_grid(found, batch, plan))
            self.report(
                "tile",
                done=int(np.searchsorted(plan.ids, batch.ids[-1], "right")),
                total=len(plan.ids),
                detections=gatherer.detections,
                seconds=round(free_since - begun, 3),
            )

    def _write(self, journal: Journal, writer: LayerWriter) -> None:
        """Merge over the seams and write, one row of tiles in memory at a time."""
        info = self._layer_info()
        merger = SeamMerger(self.plan.grid)

        def put(merged: GridDetections) -> None:
            kept = _wanted(merged, self.plan)
            if len(kept):
                writer.write(records(kept, self.scene.frame, info, writer.next_id))

        for row, found in journal.rows():
            put(merger.add_row(row, found))
            self.report("merge", done=row + 1, total=self.plan.grid.rows, objects=writer.count)
        put(merger.finish())
        self.report("write", objects=writer.count, output=str(self.output))

    def _result(self, backend: Backend, journal: Journal, writer: LayerWriter, resumed: int) -> DetectResult:
        info = self.package.info
        result = DetectResult(
            output=self.output,
            objects=writer.count,
            classes={info.classes[label]: n for label, n in sorted(writer.counts.items())},
            tiles=journal.tiles,
            tiles_skipped=len(self.plan.ids) - journal.tiles,
            tiles_resumed=resumed,
            megapixels=self.scene.frame.width * self.scene.frame.height / 1e6,
            seconds=time.monotonic() - self.started,
            seconds_model=self.seconds_model,
            seconds_waiting=self.seconds_waiting,
            gsd=self.plan.gsd,
            model=f"{info.name} {info.version}",
            backend=backend.description,
            warnings=tuple(self.report.warnings),
        )
        self.report("done", **result.summary())
        return result


def _mode(options: DetectOptions) -> str:
    return "append" if options.append else "overwrite" if options.overwrite else "new"


def _state(output: Path) -> list[int] | None:
    """Size and time of change of the output, None where there is none."""
    if not output.exists():
        return None
    stat = output.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _remove_leftovers(output: Path) -> None:
    """Remove half-written layers of killed runs; a live one would hold the lock."""
    for path in output.parent.iterdir():
        if path.name.startswith(f".{output.name}.partial-"):
            shutil.rmtree(path, ignore_errors=True)


def _batch_size(backend: Backend) -> int:
    """On a CPU small batches lose nothing and let a run stop sooner; an accelerator wants large ones."""
    device = getattr(getattr(backend, "device", None), "type", "cpu")
    return 4 if device == "cpu" else 16


def _on_grid(found: TileDetections, batch: TileBatch, plan: Plan) -> GridDetections:
    """Turn what was found in a batch into detections on the working grid.

    Boxes centred on invalid pixels are dropped and boxes are clipped to the scene: what hangs over its edge
    is padding.
    """
    if batch.valid is not None and len(found):
        centres = np.floor((found.boxes[:, :2] + found.boxes[:, 2:]) / 2).astype(np.int64)
        x, y = np.clip(centres, 0, plan.grid.tile - 1).T
        found = found.take(batch.valid[found.item, y, x])
    ids = batch.ids[found.item]
    boxes = found.boxes + np.tile(plan.grid.windows(ids)[:, :2], 2)
    limits = np.array([plan.grid.width, plan.grid.height] * 2, np.float64)
    boxes = np.clip(boxes, 0.0, limits)
    cut = plan.grid.cut_sides(boxes, ids)
    whole = GridDetections.of(boxes, found.scores, found.labels, ids, cut)
    return whole.take((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (found.scores >= plan.candidate_threshold))


def _wanted(merged: GridDetections, plan: Plan) -> SceneDetections:
    """Keep the wanted scores, classes and places; boxes become scene pixels."""
    merged = merged.take(merged.scores >= np.float32(plan.threshold))
    if plan.labels is not None:
        merged = merged.take(np.isin(merged.labels, plan.labels))
    boxes = merged.boxes / np.tile(plan.scale, 2)
    objects = SceneDetections(boxes, merged.scores, merged.labels)
    if plan.area is None:
        return objects
    return objects.take(plan.area.contains((boxes[:, :2] + boxes[:, 2:]) / 2))
