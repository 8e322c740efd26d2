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
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.package import ModelInfo, save_package
from nssa_gis.train.datasets import longest_side
from nssa_gis.train.description import describe
from nssa_gis.train.recipe import Recipe
from nssa_gis.train.trainer import Trainer

#: Threshold without held-out images, which are needed to choose one.
_FALLBACK_THRESHOLD = 0.3


def package_of(trainer: Trainer, found: dict[str, Accuracy], version: str, path: Path) -> ModelInfo:
    """Write the EMA weights and the measured accuracy as a model package.

    Parameters
    ----------
    trainer : Trainer
        After :meth:`Trainer.run`.
    found : dict of str to Accuracy
        Validation per source and ``all`` (:func:`nssa_gis.evaluate.sources.validate`): the default threshold is that of
        ``all``, and its Platt scaling calibrates the scores.
    version : str
        Version of the model.
    path : Path
        The ``.safetensors`` file.
    """
    recipe = trainer.recipe
    overall = found.get("all")
    platt = (overall.platt if overall else ()) or (PlattScaling(),) * len(recipe.classes)
    threshold = overall.threshold if overall and overall.f1 > 0 else _FALLBACK_THRESHOLD
    measured = dict(
        version=version,
        score_threshold=max(0.01, round(threshold, 2)),
        training_data=_sources(recipe),
        metrics={
            "val": {name: _figures(a) for name, a in found.items()},
            "training": _history(trainer),
            "calibration": {
                name: {"slope": round(p.slope, 4), "offset": round(p.offset, 4)}
                for name, p in zip(recipe.classes, platt, strict=True)
            },
        },
        created=date.today().isoformat(),
    )
    info = ModelInfo(**{**dict(describe(recipe, trainer.model.config, trainer.train_images)), **measured})
    save_package(path, calibrated(trainer.average.module, platt), info)
    return info


@torch.no_grad()
def calibrated(model: DetectionNetwork, platt: Sequence[PlattScaling]) -> dict[str, Tensor]:
    """Weights of a model with the Platt scaling of its classes in the last layer, where it costs no time."""
    state = dict(model.state_dict())
    slope, offset = torch.tensor([(p.slope, p.offset) for p in platt]).T
    for stride, head in model.heads.items():
        last = f"heads.{stride}.classify.{len(head.classify) - 1}"  # type: ignore[arg-type]
        weight, bias = state[f"{last}.weight"], state[f"{last}.bias"]
        state[f"{last}.weight"] = weight * slope.to(weight.device)[:, None, None, None]
        state[f"{last}.bias"] = bias * slope.to(bias.device) + offset.to(bias.device)
    return state


def _history(trainer: Trainer) -> dict[str, Any]:
    done: dict[str, Any] = {"steps": trainer.step, "crops": trainer.step * trainer.options.batch}
    longest = longest_side(trainer.train_images, trainer.recipe.gsd)
    if longest is not None:  # pixels: shows at once whether the images came in at the right resolution
        done["max_object"] = round(longest, 1)
    return {**done, "started_from": trainer.started_from} if trainer.started_from else done


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
