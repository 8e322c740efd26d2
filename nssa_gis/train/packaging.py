"""From a finished training to a model package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nssa_gis.evaluate.calibration import PlattScaling
from nssa_gis.evaluate.coco import Accuracy
from nssa_gis.model.config import PAD_MULTIPLE
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.package import ModelInfo, save_package
from nssa_gis.train.datasets import longest_side
from nssa_gis.train.recipe import Recipe
from nssa_gis.train.trainer import Trainer

#: Least tile by trunk (the published lineage works on 800 to 1333 px), and the least overlap. The overlap goes in steps
#: and exceeds nearly all objects as far as the tile lets it; the tile grows with the overlap up to a limit: an overlap
#: of a quarter of the tile costs 1.8 times the pixels, one of half 4 times.
_TILES, _OVERLAP = {"csp": 640, "resnet": 1280}, 128
_TILE_PER_OVERLAP, _LARGEST_TILE = 4, 1280
#: Side of the largest objects if no image tells it, pixels.
_USUAL_OBJECT = 80.0
#: Without held-out images there is nothing to choose a threshold by.
_FALLBACK_THRESHOLD = 0.3


def package_of(trainer: Trainer, found: dict[str, Accuracy], version: str, path: Path) -> ModelInfo:
    """Write the EMA weights with what was measured.

    Parameters
    ----------
    trainer : Trainer
        After :meth:`Trainer.run`.
    found : dict of str to Accuracy
        Validation per source and ``all`` (:func:`nssa_gis.evaluate.sources.validate`): the default threshold is that of
        ``all``, and its lines make the scores precisions.
    version : str
        Version of the model.
    path : Path
        The ``.safetensors`` file.
    """
    recipe = trainer.recipe
    longest = longest_side(trainer.train_images, recipe.gsd) or _USUAL_OBJECT
    tile, overlap = tiling(longest, trainer.model.config.trunk)
    overall = found.get("all")
    lines = (overall.platt if overall else ()) or (PlattScaling(),) * len(recipe.classes)
    threshold = overall.threshold if overall and overall.f1 > 0 else _FALLBACK_THRESHOLD
    info = ModelInfo(
        name=recipe.name,
        version=version,
        network=trainer.model.config.to_dict(),
        classes=tuple(recipe.classes),
        gsd=recipe.gsd,
        gsd_range=recipe.gsd_range,
        tile=tile,
        overlap=overlap,
        score_threshold=max(0.01, round(threshold, 2)),
        licence=recipe.licence,
        training_data=_sources(recipe),
        metrics={
            "val": {name: _figures(a) for name, a in found.items()},
            "training": _history(trainer),
            "calibration": {
                name: {"slope": round(line.slope, 4), "offset": round(line.offset, 4)}
                for name, line in zip(recipe.classes, lines, strict=True)
            },
        },
        created=date.today().isoformat(),
    )
    save_package(path, calibrated(trainer.average.module, lines), info)
    return info


@torch.no_grad()
def calibrated(model: DetectionNetwork, lines: Sequence[PlattScaling]) -> dict[str, Tensor]:
    """Weights of a model with the lines through its classes' logits put into the last layer: free at run time."""
    state = dict(model.state_dict())
    slope, offset = torch.tensor([(line.slope, line.offset) for line in lines]).T
    for stride, head in model.heads.items():
        last = f"heads.{stride}.classify.{len(head.classify) - 1}"  # type: ignore[arg-type]
        weight, bias = state[f"{last}.weight"], state[f"{last}.bias"]
        state[f"{last}.weight"] = weight * slope.to(weight.device)[:, None, None, None]
        state[f"{last}.bias"] = bias * slope.to(bias.device) + offset.to(bias.device)
    return state


def _history(trainer: Trainer) -> dict[str, Any]:
    done = {"steps": trainer.step, "crops": trainer.step * trainer.options.batch}
    return {**done, "started_from": trainer.started_from} if trainer.started_from else done


def tiling(longest: float, trunk: str) -> tuple[int, int]:
    """Default tile and overlap of a model, pixels.

    Parameters
    ----------
    longest : float
        Side that hardly any of its objects exceeds (:func:`nssa_gis.train.datasets.longest_side`), pixels.
    trunk : {"csp", "resnet"}
        As in :class:`nssa_gis.model.config.DetectorConfig`.
    """
    overlap = max(_OVERLAP, (math.floor(longest / PAD_MULTIPLE) + 1) * PAD_MULTIPLE)
    tile = max(_TILES[trunk], min(_TILE_PER_OVERLAP * overlap, _LARGEST_TILE))
    return tile, min(overlap, tile - PAD_MULTIPLE)


def _sources(recipe: Recipe) -> str:
    told = []
    for s in recipe.sources:
        held_out = "all" if s.split == "val" else " ".join(s.val_scenes)
        told.append(f"{s.name} (weight {s.weight:g}{f', held out: {held_out}' if held_out else ''})")
    return "; ".join(told)


def _figures(accuracy: Accuracy) -> dict[str, Any]:
    values = {k: getattr(accuracy, k) for k in ("ap", "ap50", "ap75", "precision", "recall", "f1", "threshold")}
    rounded = {k: None if math.isnan(v) else round(v, 4) for k, v in values.items()}
    return {**rounded, "truths": accuracy.truths}
