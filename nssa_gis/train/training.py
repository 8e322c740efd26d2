"""From labelled images to a model package: a whole training."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.coco import Accuracy
from nssa_gis.events import Progress, silent
from nssa_gis.files import check_free
from nssa_gis.model.config import DetectorConfig, load_config
from nssa_gis.runtime.package import ModelInfo, load_package
from nssa_gis.train.checkpoint import read_progress
from nssa_gis.train.datasets import unknown_gsd
from nssa_gis.train.distributed import joined
from nssa_gis.train.log import LOG_NAME, TrainingLog, json_values
from nssa_gis.train.options import DEFAULT_GSD, TrainArguments, TrainOptions
from nssa_gis.train.packaging import package_of
from nssa_gis.train.recipe import Recipe, load_recipe, recipe_of_folders
from nssa_gis.train.trainer import CHECKPOINT_NAME, Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_log = logging.getLogger(__name__)

#: Exit code of an interrupted process.
_INTERRUPTED = 130


@dataclass(frozen=True)
class TrainResult:
    """What a training wrote.

    Attributes
    ----------
    output : Path
        The model package.
    folder : Path
        The run folder, with the checkpoint and ``log.jsonl``.
    info : ModelInfo
        What the package says about its model.
    steps : int
        Steps of the whole training.
    accuracy : dict of str to Accuracy
        On the held-out images per source, and over all images as ``all``; empty if nothing is held out.
    """

    output: Path
    folder: Path
    info: ModelInfo
    steps: int
    accuracy: dict[str, Accuracy]


def train(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    **options: Unpack[TrainArguments],
) -> TrainResult | None:
    """Train a detector on labelled images and write its model package.

    Parameters
    ----------
    data : str, path or sequence of them
        One recipe (``.toml``), or labelled folders: COCO, VisDrone, DOTA, YOLO or VOC.
    output : str or path
        The package, ending in ``.safetensors``.
    progress : callable, optional
        Receives the events of the training log (:mod:`nssa_gis.train.log`), JSON values.
    **options
        Fields of :class:`nssa_gis.train.options.TrainOptions`; one of ``steps`` and ``time_budget`` is needed.

    Returns
    -------
    TrainResult or None
        None in all but the first of several processes.

    Raises
    ------
    UsageError, NssaError, KeyboardInterrupt
        As :func:`train_model`.

    Examples
    --------
    >>> nssa_gis.train("boats", "boats.safetensors", classes="boat", time_budget="2h")  # doctest: +SKIP
    """
    paths = [Path(data)] if isinstance(data, str | os.PathLike) else [Path(path) for path in data]
    return train_model(paths, Path(output), TrainOptions.parse(options), progress)


def train_model(
    data: Sequence[Path], output: Path, options: TrainOptions, progress: Progress | None = None
) -> TrainResult | None:
    """Train a detector; see :func:`train`.

    In the main thread, Ctrl-C and SIGTERM end the training after the present step; a second one ends the process at
    once.

    Raises
    ------
    UsageError
        Options that do not fit each other, the data or the machine.
    NssaError
        The output or the run exists, or the data, the start model or the checkpoint cannot be used.
    KeyboardInterrupt
        Interrupted; its text says at which step and what is kept.
    """
    folder = options.run or Path("runs") / output.stem
    _check(output, folder, options)
    recipe = _recipe(data, options, output.stem, folder)
    config = _network(options.size, len(recipe.classes))
    if options.trunk_weights and config.trunk != "resnet":
        raise UsageError(f"--trunk-weights: the trunk of --size {options.size} is not a ResNet; use --size paper")
    start = load_package(options.init) if options.init and not options.resume else None
    _log.debug("recipe %s: classes %s, %g m/px; network %s", recipe.name, recipe.classes, recipe.gsd, config.name)
    log = TrainingLog(folder / LOG_NAME)

    def report(event: dict[str, Any]) -> None:
        log.write(event)
        (progress or silent)(json_values(event))

    with contextlib.closing(log), joined(options.device) as ranks:
        trainer = Trainer(recipe, config, options, folder, report, ranks)
        if options.resume:
            trainer.resume()
            log.go_on(trainer.step)
        trainer.load()
        if data[0].suffix != ".toml":  # a recipe says itself what is assumed
            _tell_unknown_gsd(trainer)
        if start:
            trainer.start_from(start)
        if options.trunk_weights and not options.resume:
            trainer.start_trunk(options.trunk_weights)
        if ranks.first and not options.resume:
            trainer.checkpoint.unlink(missing_ok=True)
        found = _run(trainer)
    if not ranks.first:
        return None
    info = package_of(trainer, found, options.model_version, output)
    return TrainResult(output, folder, info, trainer.step, found)


def _check(output: Path, folder: Path, options: TrainOptions) -> None:
    """Refuse what would replace something without being asked to, before anything is loaded."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the name of a model package ends in .safetensors")
    check_free(output, options.overwrite)
    if (folder / CHECKPOINT_NAME).exists() and not (options.resume or options.overwrite):
        raise NssaError(
            f"{folder}: holds a run already; continue it with --resume, start again with --overwrite, or give another "
            "--run"
        )


def _recipe(data: Sequence[Path], options: TrainOptions, name: str, folder: Path) -> Recipe:
    """Make the recipe of the data."""
    if not data:
        raise UsageError("no data: give a recipe (.toml) or labelled folders")
    if data[0].suffix != ".toml":
        return recipe_of_folders(data, options.classes, _working_gsd(options, folder), options.val_scenes, name)
    if len(data) > 1 or options.classes or options.val_scenes:
        raise UsageError("a recipe is given alone: it states its own sources, classes and held-out scenes")
    return load_recipe(data[0], options.data_root)


def _working_gsd(options: TrainOptions, folder: Path) -> float:
    """GSD that the network works at: as asked for, else that of the resumed run or of the model that it starts from."""
    if options.gsd is not None:
        return options.gsd
    checkpoint = folder / CHECKPOINT_NAME
    if options.resume and checkpoint.is_file():  # it knows all: the start model may be gone
        return float(read_progress(checkpoint).get("setting", {}).get("gsd", DEFAULT_GSD))
    return load_package(options.init).info.gsd if options.init else DEFAULT_GSD


def _tell_unknown_gsd(trainer: Trainer) -> None:
    told = unknown_gsd([*trainer.train_images, *trainer.val_images], trainer.recipe.gsd)
    if told:
        trainer.findings = replace(trainer.findings, warnings=(*trainer.findings.warnings, told))


def _network(size: str, classes: int) -> DetectorConfig:
    try:
        return load_config(size if size.endswith(".toml") else f"nssa-{size}", classes)
    except ValueError as error:
        raise UsageError(f"--size {size}: {error}") from None


def _run(trainer: Trainer) -> dict[str, Accuracy]:
    """Train; an interrupt ends it after the present step with a checkpoint."""
    try:
        with _signals_to(trainer):
            return trainer.run()
    except KeyboardInterrupt:
        if not trainer.ranks.first:  # the first process says it for all
            raise SystemExit(_INTERRUPTED) from None
        kept = trainer.checkpoint.exists()
        hint = "the checkpoint is kept, go on with --resume" if kept else "nothing was finished"
        raise KeyboardInterrupt(f"interrupted at step {trainer.step}: {trainer.folder}; {hint}") from None


@contextlib.contextmanager
def _signals_to(trainer: Trainer) -> Iterator[None]:
    """Let signals stop the trainer after its step; a second signal ends the process at once."""
    seen = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if seen.is_set():
            os._exit(_INTERRUPTED)
        seen.set()
        trainer.stop()

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
