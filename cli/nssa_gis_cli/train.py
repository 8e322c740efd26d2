"""``nssa-gis train``."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType):
    """A number with a unit: 90s, 45m, 2h; gives seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse to seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if not match:
            self.fail(f"{value!r} is no duration; write 90s, 45m or 2h", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command(short_help="Train a detector on labelled images.")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Model package to write (.safetensors).",
)
@click.option(
    "--data-root",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder under which a recipe's sources are looked up; may be repeated.",
)
@click.option(
    "--classes",
    multiple=True,
    help="Class of the model, as NAME or NAME=CATEGORY+CATEGORY; may be repeated. A recipe states its own.",
)
@click.option(
    "--gsd",
    default=0.25,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Metres per pixel the network works at (folders only; a recipe states its own).",
)
@click.option("--val-scenes", multiple=True, help="Scene held out for validation (folders only); may be repeated.")
@click.option(
    "--size",
    default="s",
    show_default=True,
    type=click.Choice(["n", "s", "m", "n-plain", "s-plain", "m-plain"]),
    help="Network size; -plain leaves the three modules out.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps.")
@click.option("--time-budget", type=Duration(), help="Training time instead of steps: 90s, 45m, 2h.")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(min=1), help="Crops per step.")
@click.option(
    "--crop",
    default=256,
    show_default=True,
    type=click.IntRange(min=64),
    help="Side of a crop in pixels, a multiple of 64.",
)
@click.option("--learning-rate", default=2e-3, show_default=True, type=float, help="Peak rate for a batch of 16.")
@click.option(
    "--assigner",
    default="gaussian",
    show_default=True,
    type=click.Choice(["gaussian", "tal"]),
    help="Which points learn which object.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of weights and data.")
@click.option(
    "--run",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for checkpoint and log.  [default: runs/<output name>]",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the run folder.")
@click.option(
    "--checkpoint-every", default="120s", show_default=True, type=Duration(), help="Time between checkpoints."
)
@click.option(
    "--validate-every",
    default="0s",
    show_default=True,
    type=Duration(),
    help="Time between validations on up to 40 held-out images a source; 0s: only at the end.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Processes that prepare crops.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of the network.  [default: all cores]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:<number> or mps.")
@click.option("--model-version", default="1", show_default=True, help="Version written into the package.")
@click.option(
    "--progress",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "bar", "json", "none"]),
    help="How progress is shown on stderr.",
)
def train(
    data: tuple[Path, ...],
    output: Path,
    data_root: tuple[Path, ...],
    classes: tuple[str, ...],
    gsd: float,
    val_scenes: tuple[str, ...],
    size: str,
    folder: Path | None,
    resume: bool,
    model_version: str,
    progress: str,
    **how: Any,
) -> None:
    """Train a detector.

    DATA is either one recipe (.toml: sources, weights, held-out scenes) or COCO folders (instances.json beside
    images/; image fields gsd_m, scene and not_exhaustive are honoured, iscrowd boxes are areas that teach nothing).
    Ends after --steps or --time-budget, validates on the held-out scenes and writes the package.

    \b
    nssa-gis train vehicles.toml --data-root DATA -o vehicles.safetensors --time-budget 2h
    nssa-gis train boats/ -o boats.safetensors --classes boat --gsd 0.3 --val-scenes harbour7 --steps 5000
    """
    from nssa_gis.errors import UsageError
    from nssa_gis.model.config import named_config
    from nssa_gis.train.packaging import package_of
    from nssa_gis.train.recipe import load_recipe, recipe_of_folders
    from nssa_gis.train.trainer import Trainer, TrainOptions

    if (how["steps"] is None) == (how["time_budget"] is None):
        raise UsageError("give either --steps or --time-budget")
    if how["crop"] % 64:
        raise UsageError(f"--crop {how['crop']}: must be a multiple of 64")
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: a model package ends in .safetensors")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: the folder {output.parent} does not exist")
    if data[0].suffix == ".toml":
        if len(data) > 1 or classes or val_scenes:
            raise UsageError("a recipe stands alone and states its own classes and held-out scenes")
        recipe = load_recipe(data[0], data_root)
    else:
        recipe = recipe_of_folders(data, classes, gsd, val_scenes, output.stem)
    config = named_config(f"nssa-{size}", len(recipe.classes))
    folder = folder or Path("runs") / output.stem
    report = _Report(progress, folder)
    trainer = Trainer(recipe, config, TrainOptions(**how), folder, report)
    if resume:
        trainer.resume()
    found = trainer.run()
    info = package_of(trainer, found, model_version, output)
    report.close()
    click.echo(f"wrote {output}: {info.name} {info.version}, default confidence {info.score_threshold:g}")
    for name, accuracy in found.items():
        click.echo(
            f"  {name:20s} AP50 {accuracy.ap50:.3f}  AP {accuracy.ap:.3f}  best F1 {accuracy.f1:.3f} "
            f"at {accuracy.threshold:.2f}  ({accuracy.truths} objects)"
        )


class _Report:
    """Events to the log file, and to the terminal as a line now and then or as JSON lines."""

    def __init__(self, mode: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mode = ("bar" if sys.stderr.isatty() else "none") if mode == "auto" else mode
        self.log = open(folder / "log.jsonl", "a", encoding="utf-8")
        self.shown = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        line = json.dumps(event)
        self.log.write(line + "\n")
        if self.mode == "json":
            click.echo(line, err=True)
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
        figures = event.get("all", {})
        return f"validation at step {event['step']}: AP50 {figures.get('ap50', float('nan')):.3f}"

    def close(self) -> None:
        """Close the log."""
        self.log.close()
