"""The training loop: resumable, within a number of steps or a time budget."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from nssa_gis.errors import NssaError
from nssa_gis.evaluate.coco import Accuracy
from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.detector import Detector
from nssa_gis.runtime.torch_backend import choose_device, cpu_has_bf16
from nssa_gis.train.assigner import ASSIGNERS
from nssa_gis.train.checkpoint import load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from nssa_gis.train.composite import CompositeCrops, Labels
from nssa_gis.train.datasets import LabelledImage, check_data, count, load_split
from nssa_gis.train.ema import MovingAverage
from nssa_gis.train.losses import Truth, detection_loss
from nssa_gis.train.paste import Paster, cut_out
from nssa_gis.train.recipe import Recipe
from nssa_gis.train.validation import validate


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes
    ----------
    steps : int or None
        Optimiser steps; the learning rate follows them.
    time_budget : float or None
        Seconds of training instead of steps, by the clock from step to step (waiting for crops and checkpoints
        included, validation not); the learning rate follows them, and time spent before a resume counts.
    batch, crop : int
        Crops per step, and their side in pixels (a multiple of 64).
    learning_rate : float
        For a batch of 16; scaled with the square root of the batch.
    weight_decay : float
        On weights of two and more dimensions.
    assigner : str
        ``gaussian`` or ``tal``.
    seed : int
        Of weights and data.
    workers : int
        Processes that prepare crops.
    checkpoint_every, validate_every : float
        Seconds between checkpoints, and between validations (0: only at the end).
    device : str
        ``auto``, ``cpu``, ``cuda[:i]``, ``mps``.
    threads : int or None
        CPU threads.
    """

    steps: int | None = None
    time_budget: float | None = None
    batch: int = 16
    crop: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    assigner: str = "gaussian"
    seed: int = 0
    workers: int = 1
    checkpoint_every: float = 120.0
    validate_every: float = 0.0
    device: str = "auto"
    threads: int | None = None


class Trainer:
    """Train one detector.

    Parameters
    ----------
    recipe : Recipe
        Data and classes.
    config : DetectorConfig
        The network.
    options : TrainOptions
        How.
    folder : Path
        Where ``checkpoint.safetensors`` and ``log.jsonl`` go.
    report : callable
        Takes a dict per event (``data``, ``warning``, ``step``, ``validate``).
    """

    def __init__(
        self,
        recipe: Recipe,
        config: DetectorConfig,
        options: TrainOptions,
        folder: Path,
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        if options.threads:
            torch.set_num_threads(options.threads)
        self.recipe, self.options, self.folder, self.report = recipe, options, folder, report
        self.device = choose_device(options.device)
        torch.manual_seed(options.seed)
        self.model = Detector(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = MovingAverage(self.model)
        self.assign = ASSIGNERS[options.assigner]()
        self.autocast = _autocast_type(self.device)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.model, options.weight_decay), lr=options.learning_rate, foreach=True
        )
        self.step, self.elapsed = 0, 0.0
        self.train_images: list[list[LabelledImage]] = []
        self.val_images: list[list[LabelledImage]] = []
        self._in_step = self._stopping = False

    @property
    def checkpoint(self) -> Path:
        """The one checkpoint file of the run."""
        return self.folder / "checkpoint.safetensors"

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        if self.options.steps:
            return self.step / self.options.steps
        return self.elapsed / (self.options.time_budget or 1.0)

    def resume(self) -> None:
        """Go on from the checkpoint: weights, EMA, optimiser, position in the data.

        Raises
        ------
        NssaError
            None there, or it belongs to another network, other data or other options.
        """
        if not self.checkpoint.is_file():
            raise NssaError(f"{self.folder}: no checkpoint to resume from; start without --resume")
        parts, progress = load_checkpoint(self.checkpoint)
        if progress["network"] != json.loads(json.dumps(self.model.config.to_dict())):
            raise NssaError(f"{self.checkpoint}: is of another network; use another --run folder")
        before, now = progress.get("setting", {}), self._setting()
        differing = [k for k in now if k in before and before[k] != now[k]]
        if differing:
            told = ", ".join(f"{k} {before[k]}, not {now[k]}" for k in differing)
            raise NssaError(f"{self.checkpoint}: was made with {told}; use the same or another --run folder")
        self.model.load_state_dict(parts["model"])
        self.average.model.load_state_dict(parts["ema"])
        restore_optimizer(self.optimizer, parts.get("optimizer", {}))  # none yet at step 0
        self.step, self.elapsed = progress["step"], progress["elapsed"]
        self.average.updates = progress["updates"]

    def load(self) -> None:
        """Load and check the data; :meth:`run` does it if it was not done.

        Raises
        ------
        NssaError
            A source is unreadable, or there is nothing to train on.
        """
        train = load_split(self.recipe, "train")
        check_data(self.recipe, train)
        self.train_images, self.val_images = train, load_split(self.recipe, "val")

    def stop(self) -> None:
        """End the run, for a signal handler: after the present step, or at once if none is under way.

        Raises
        ------
        KeyboardInterrupt
            At once, or from :meth:`run`; a checkpoint is written before it leaves the training.
        """
        if not self._in_step:
            raise KeyboardInterrupt
        self._stopping = True

    def run(self) -> dict[str, Accuracy]:
        """Train to the end and validate the EMA weights.

        Returns
        -------
        dict of str to Accuracy
            Per source, and ``all``.

        Raises
        ------
        KeyboardInterrupt
            Interrupted; the checkpoint is of the last complete step, unless the interrupt broke into a step.
        """
        if not self.train_images:
            self.load()
        self._report_data()
        crops = CompositeCrops(
            self.train_images,
            [s.weight for s in self.recipe.sources],
            self.options.crop,
            self.recipe.gsd,
            self.options.seed,
            paster=self._paster(),
        )
        try:
            if self.progress < 1:
                self._train(crops)
            self.save()
        except KeyboardInterrupt:
            if not self._in_step:
                self.save()
            raise
        return self._validate()

    def _train(self, crops: CompositeCrops) -> None:
        """Step after step until the run is done."""
        self.model.train()
        mark = last_save = last_look = time.monotonic()
        for images, truth in self._batches(crops):
            self._in_step = True
            losses = self._train_step(images, truth)
            self._in_step = False
            now = time.monotonic()
            self.elapsed += now - mark
            mark = now
            self.report({"event": "step", "step": self.step, "elapsed": self.elapsed, **losses})
            if self._stopping:
                raise KeyboardInterrupt
            if now - last_save > self.options.checkpoint_every:
                self.save()
                last_save = now
            if self.options.validate_every and now - last_look > self.options.validate_every:
                started = time.monotonic()
                self._validate(limit=40)
                last_look = time.monotonic()
                mark += last_look - started
            if self.progress >= 1:
                break

    def save(self) -> None:
        """Write the checkpoint."""
        parts = {
            "model": self.model.state_dict(),
            "ema": self.average.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
        }
        progress = {
            "step": self.step,
            "elapsed": self.elapsed,
            "updates": self.average.updates,
            "network": self.model.config.to_dict(),
            "options": asdict(self.options),
            "setting": self._setting(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.checkpoint, parts, progress)

    def _setting(self) -> dict[str, Any]:
        """Gather what a resumed run must share with the one before."""
        kept = {k: getattr(self.options, k) for k in ("crop", "batch", "seed", "assigner")}
        classes = {name: list(members) for name, members in self.recipe.classes.items()}
        return {"recipe": self.recipe.name, "classes": classes, "gsd": self.recipe.gsd, **kept}

    def _paster(self) -> Paster | None:
        bank = [
            item
            for source, images in zip(self.recipe.sources, self.train_images, strict=True)
            if source.cut_out
            for item in cut_out(images)
        ]
        return Paster(bank) if bank else None

    def _report_data(self) -> None:
        figures = {}
        for split, images in (("train", self.train_images), ("val", self.val_images)):
            figures[split] = dict(zip(("images", "boxes"), count(images), strict=True))
        self.report({"event": "data", **figures})
        if not figures["val"]["images"]:
            self.report(
                {
                    "event": "warning",
                    "message": "nothing is held out: no accuracy is measured and the confidence threshold is a guess",
                }
            )

    def _validate(self, limit: int | None = None) -> dict[str, Accuracy]:
        found = validate(self.average.model, self.val_images, self.recipe.gsd, self.autocast, limit=limit)
        self.report({"event": "validate", "step": self.step, **{k: asdict(v) for k, v in found.items()}})
        return found

    def _batches(self, crops: CompositeCrops) -> Iterator[tuple[torch.Tensor, list[Truth]]]:
        """Batches from where the run stands: crop number i is the same in every run of one seed."""
        first, size = self.step * self.options.batch, self.options.batch
        total = (self.options.steps or 10_000_000) * size
        loader: DataLoader[Any] = DataLoader(
            crops,  # type: ignore[arg-type]
            batch_size=size,
            sampler=range(first, total),
            num_workers=self.options.workers,
            collate_fn=_collate,
            worker_init_fn=_ignore_signals,
            prefetch_factor=4 if self.options.workers else None,
        )
        for pixels, labels in loader:
            images = pixels.to(self.device).float().div_(255).contiguous(memory_format=torch.channels_last)
            yield images, [Truth(*(t.to(self.device) for t in truth)) for truth in labels]

    def _train_step(self, images: torch.Tensor, truth: list[Truth]) -> dict[str, float]:
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            out = self.model(images)
        losses = detection_loss(self.model, out, truth, self.assign, images.shape[-1])
        if not torch.isfinite(losses.total):
            raise NssaError(f"the loss is not finite at step {self.step}; lower --learning-rate")
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.average.update(self.model)
        self.step += 1
        return {
            "loss": losses.total.item(),
            "classes": losses.classes.item(),
            "boxes": losses.boxes.item(),
            "positives": losses.positives,
            "norm": norm.item(),
            "rate": rate,
        }

    def _learning_rate(self) -> float:
        """3 % linear warm-up, then cosine down to 2 %."""
        peak = self.options.learning_rate * math.sqrt(self.options.batch / 16)
        done = min(1.0, self.progress)
        if done < 0.03:
            # a time budget starts at 0 elapsed: never quite zero
            return peak * max(done / 0.03, 0.01)
        return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.03) / 0.97)))


def _ignore_signals(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which a terminal sends to the whole group, to the parent; it ends the workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _collate(items: list[tuple[np.ndarray, Labels]]) -> tuple[torch.Tensor, list[tuple[torch.Tensor, ...]]]:
    pixels = torch.from_numpy(np.stack([p for p, _ in items]))
    truth = [
        tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in (t.boxes, t.labels, t.ignore, t.ignore_class))
        for _, t in items
    ]
    return pixels, truth


def _autocast_type(device: torch.device) -> torch.dtype | None:
    """bf16 on CPUs that compute in it and on CUDA; float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bf16() else None


def _parameter_groups(model: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on convolution kernels only: never on norms, biases and activation parameters."""
    heavy = [p for p in model.parameters() if p.ndim == 4]
    light = [p for p in model.parameters() if p.ndim != 4]
    return [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]
