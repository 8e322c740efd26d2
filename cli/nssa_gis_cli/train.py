"""``nssa-gis train``."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nssa_gis_cli.console import Interrupted
from nssa_gis_cli.options import debug_option

if TYPE_CHECKING:
    from nssa_gis.evaluate.coco import Accuracy
    from nssa_gis.model.config import DetectorConfig
    from nssa_gis.train.recipe import Recipe
    from nssa_gis.train.trainer import Trainer

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def duration(value: str | float) -> float:
    """Seconds of a number with a unit: 90s, 45m, 2h."""
    if isinstance(value, float):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value)
    if not match:
        raise click.BadParameter(f"{value!r} is no duration; write 90s, 45m or 2h")
    return float(match[1]) * _UNITS[match[2]]


@click.command(short_help="Train a detector on labelled images.")
@click.argument("data", nargs=-1, required=True, metavar="DATA...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Model package to write (.safetensors).",
)
@click.option(
    "--data-root",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder under which a recipe's sources are looked up; may be repeated.",
)
@click.option(
    "--classes",
    multiple=True,
    metavar="CLASS,...",
    help="Classes of the model, each NAME or NAME=CATEGORY+CATEGORY; may be repeated. A recipe states its own.",
)
@click.option(
    "--gsd",
    default=0.25,
    show_default=True,
    metavar="M/PX",
    type=click.FloatRange(min=0, min_open=True),
    help="Metres per pixel the network works at (folders only; a recipe states its own).",
)
@click.option(
    "--val-scenes",
    multiple=True,
    metavar="SCENE",
    help="Scene held out for validation (folders only); may be repeated.",
)
@click.option(
    "--size",
    default="s",
    show_default=True,
    metavar="NAME|FILE",
    help="Network: n, s or m for a CPU, paper (ResNet-50) for a GPU; n-plain and so on leave the three modules out. "
    'Or a .toml file: base = "nssa-s" and what differs, such as depths = [1, 3, 3], wavelet = false, or a table '
    '[sparse_attention] with partition = "dilated".',
)
@click.option(
    "--trunk-weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="ResNet-50 weights (.safetensors, names as in torchvision or timm) to start the trunk of --size paper from. "
    "Without effect with --resume.",
)
@click.option(
    "--init",
    metavar="MODEL",
    help="Start from the weights of this model (name or .safetensors file), whose network must be the same; classes "
    "and heads that it lacks start anew. Without effect with --resume.",
)
@click.option("--steps", metavar="N", type=click.IntRange(min=1), help="Optimiser steps.")
@click.option(
    "--time-budget",
    metavar="TIME",
    type=duration,
    help="Training time instead of steps: 90s, 45m, 2h; by the clock, without loading and validation.",
)
@click.option(
    "--batch",
    default=16,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="Crops per step, of all processes together.",
)
@click.option(
    "--crop",
    metavar="N",
    type=click.IntRange(min=64),
    help="Side of a crop in pixels, a multiple of 64.  [default: 256; 832 with a ResNet trunk]",
)
@click.option(
    "--learning-rate",
    default=2e-3,
    show_default=True,
    metavar="NUMBER",
    type=click.FloatRange(min=0, min_open=True, max=1),
    help="Peak rate for a batch of 16.",
)
@click.option(
    "--assigner",
    default="gaussian",
    show_default=True,
    type=click.Choice(["gaussian", "tal"]),
    help="Which points learn which object.",
)
@click.option(
    "--seed", default=0, show_default=True, metavar="N", type=click.IntRange(min=0), help="Seed of weights and data."
)
@click.option(
    "--run",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for checkpoint and log.  [default: runs/<output name>]",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the run folder.")
@click.option("--overwrite", is_flag=True, help="Replace a package, and a run that is not resumed, that are there.")
@click.option(
    "--checkpoint-every",
    default="120s",
    show_default=True,
    metavar="TIME",
    type=duration,
    help="Time between checkpoints.",
)
@click.option(
    "--validate-every",
    default="0s",
    show_default=True,
    metavar="TIME",
    type=duration,
    help="Time between validations on up to 40 held-out images a source; 0s: only at the end.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=0),
    help="Processes that prepare crops, for each that trains.",
)
@click.option(
    "--threads", metavar="N", type=click.IntRange(min=1), help="CPU threads of the network.  [default: all cores]"
)
@click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:<number> or mps."
)
@click.option(
    "--model-version", default="1", show_default=True, metavar="TEXT", help="Version written into the package."
)
@click.option(
    "--progress",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "bar", "json", "none"]),
    help="How progress is shown on stderr.",
)
@debug_option
def train(
    data: tuple[Path, ...],
    output: Path,
    data_root: tuple[Path, ...],
    classes: tuple[str, ...],
    gsd: float,
    val_scenes: tuple[str, ...],
    size: str,
    trunk_weights: Path | None,
    init: str | None,
    folder: Path | None,
    resume: bool,
    overwrite: bool,
    model_version: str,
    progress: str,
    debug: bool,
    **how: Any,
) -> None:
    """Train a detector.

    DATA is either one recipe (.toml: sources, weights, held-out scenes; a source may be held out whole with split =
    "val", say upright = true for oblique views, which are not turned, name a COCO JSON of additions to its labels,
    and let its objects be pasted on empty ground: cut_out = true, or the width in metres of the broadest that stands
    straight) or labelled folders: COCO (instances.json beside images/; image fields gsd_m, scene and not_exhaustive
    are honoured, iscrowd boxes are areas that teach nothing), VisDrone, DOTA, YOLO or VOC. Boxes refer to the pixels
    as stored: EXIF orientation is not applied. Ends after --steps or --time-budget, validates on the held-out scenes
    and writes the package.

    \b
    nssa-gis train vehicles.toml --data-root DATA \\
        -o vehicles.safetensors --time-budget 2h
    nssa-gis train boats/ -o boats.safetensors --classes boat --gsd 0.3 \\
        --val-scenes harbour7 --steps 5000

    On several GPUs, one process each, which share every batch (the -- keeps torchrun from reading --run):

    \b
    torchrun --nproc-per-node 4 -m -- nssa_gis_cli.main train vehicles.toml ...
    """
    folder = folder or Path("runs") / output.stem
    _check(output, folder, resume, overwrite, how)
    recipe = _recipe(data, data_root, classes, gsd, val_scenes, output.stem)
    from nssa_gis.errors import UsageError
    from nssa_gis.runtime.package import load_package
    from nssa_gis.train.distributed import joined
    from nssa_gis.train.packaging import package_of
    from nssa_gis.train.trainer import Trainer, TrainOptions

    config = _network(size, len(recipe.classes))
    how["crop"] = how["crop"] or (832 if config.trunk == "resnet" else 256)
    if trunk_weights and config.trunk != "resnet":
        raise UsageError(f"--trunk-weights: the trunk of --size {size} is no ResNet; use --size paper")
    start = load_package(init) if init and not resume else None
    with contextlib.closing(_Report(progress, folder)) as report, joined(how["device"]) as ranks:
        trainer = Trainer(recipe, config, TrainOptions(**how), folder, report, ranks)
        if resume:
            trainer.resume()
            report.log.go_on(trainer.step)
        trainer.load()
        if start:
            trainer.start_from(start)
        if trunk_weights and not resume:
            trainer.start_trunk(trunk_weights)
        if ranks.first and not resume:
            trainer.checkpoint.unlink(missing_ok=True)
        found = _run(trainer)
    if not ranks.first:
        return
    info = package_of(trainer, found, model_version, output)
    click.echo(f"wrote {output}: {info.name} {info.version}, default confidence {info.score_threshold:g}")
    for name, accuracy in found.items():
        click.echo(
            f"  {name:20s} AP50 {accuracy.ap50:.3f}  AP {accuracy.ap:.3f}  F1 {accuracy.f1:.3f} "
            f"at {accuracy.threshold:.2f}  ({accuracy.truths} objects)"
        )


def _network(size: str, classes: int) -> DetectorConfig:
    from nssa_gis.errors import UsageError
    from nssa_gis.model.config import load_config

    try:
        return load_config(size if size.endswith(".toml") else f"nssa-{size}", classes)
    except ValueError as error:
        raise UsageError(f"--size {size}: {error}") from None


def _check(output: Path, folder: Path, resume: bool, overwrite: bool, how: dict[str, Any]) -> None:
    """Refuse what makes no sense, or would replace something unasked, before anything is loaded."""
    from nssa_gis.errors import NssaError, UsageError
    from nssa_gis.model.config import PAD_MULTIPLE

    if (how["steps"] is None) == (how["time_budget"] is None):
        raise UsageError("give either --steps or --time-budget")
    if how["time_budget"] == 0:
        raise UsageError("--time-budget must be more than 0")
    if (how["crop"] or 0) % PAD_MULTIPLE:
        raise UsageError(f"--crop {how['crop']}: must be a multiple of {PAD_MULTIPLE}")
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: a model package ends in .safetensors")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: the folder {output.parent} does not exist")
    if output.exists() and not overwrite:
        raise NssaError(f"{output}: exists already; give another name or --overwrite")
    if (folder / "checkpoint.safetensors").exists() and not (resume or overwrite):
        raise NssaError(
            f"{folder}: holds a run already; go on with --resume, start afresh with --overwrite or give another --run"
        )


def _recipe(
    data: tuple[Path, ...],
    data_root: tuple[Path, ...],
    classes: tuple[str, ...],
    gsd: float,
    val_scenes: tuple[str, ...],
    name: str,
) -> Recipe:
    """Make the recipe of DATA."""
    from nssa_gis.errors import UsageError
    from nssa_gis.train.recipe import load_recipe, recipe_of_folders

    if data[0].suffix != ".toml":
        return recipe_of_folders(data, classes, gsd, val_scenes, name)
    if len(data) > 1 or classes or val_scenes:
        raise UsageError("a recipe stands alone and states its own classes and held-out scenes")
    return load_recipe(data[0], data_root)


def _run(trainer: Trainer) -> dict[str, Accuracy]:
    """Run; Ctrl-C and SIGTERM end it after the present step with a checkpoint."""
    try:
        with _signals_to(trainer):
            return trainer.run()
    except KeyboardInterrupt:
        if not trainer.ranks.first:  # the first says it for all
            raise click.exceptions.Exit(Interrupted.exit_code) from None
        kept = trainer.checkpoint.exists()
        hint = "the checkpoint is kept, go on with --resume" if kept else "nothing was finished"
        raise Interrupted(f"interrupted at step {trainer.step}: {trainer.folder}; {hint}") from None


@contextlib.contextmanager
def _signals_to(trainer: Trainer) -> Iterator[None]:
    """Let signals stop the trainer in its own time, which the general handler would not; a second one ends at once."""
    seen = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if seen.is_set():
            os._exit(Interrupted.exit_code)
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


class _Report:
    """Events to the log file, and to the terminal as a line now and then or as JSON lines."""

    def __init__(self, mode: str, folder: Path) -> None:
        from nssa_gis.train.log import LOG_NAME, TrainingLog

        self.mode = ("bar" if sys.stderr.isatty() else "none") if mode == "auto" else mode
        self.log = TrainingLog(folder / LOG_NAME)
        self.shown = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        line = self.log.write(event)
        if self.mode == "json":
            click.echo(line, err=True)
        elif event["event"] == "warning":
            click.echo(f"nssa-gis: warning: {event['message']}", err=True)
        elif self.mode == "bar" and (event["event"] != "step" or time.monotonic() - self.shown > 2):
            self.shown = time.monotonic()
            click.echo(self._text(event), err=True)

    @staticmethod
    def _text(event: dict[str, Any]) -> str:
        if event["event"] == "step":
            return (
                f"step {event['step']:6d}  {event['elapsed']:7.0f} s  loss {event['loss']:.3f} "
                f"(class {event['classes']:.3f}, box {event['boxes']:.3f})"
            )
        if event["event"] == "data":
            return "; ".join(f"{k}: {event[k]['images']} images, {event[k]['boxes']} boxes" for k in ("train", "val"))
        if event["event"] == "init":
            heads = f"; new heads at strides {', '.join(map(str, event['new_heads']))}" if event["new_heads"] else ""
            return f"starting from {event['model']}; new classes: {', '.join(event['new_classes']) or 'none'}{heads}"
        figures = event.get("all", {})
        return f"validation at step {event['step']}: AP50 {figures.get('ap50', float('nan')):.3f}"

    def close(self) -> None:
        """Close the log."""
        self.log.close()
