"""The training loop: resumable, within a number of steps or a time budget."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from nssa_gis.detect.detector import Detector
from nssa_gis.errors import NssaError
from nssa_gis.evaluate.coco import Accuracy
from nssa_gis.evaluate.sources import validate
from nssa_gis.labels.images import LabelledImage
from nssa_gis.model.config import DetectorConfig
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.model.resnet import ResNetTrunk, load_resnet
from nssa_gis.runtime.backends.torch import cpu_threads
from nssa_gis.runtime.package import ModelPackage
from nssa_gis.train.assigner import ASSIGNERS
from nssa_gis.train.checkpoint import load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from nssa_gis.train.composite import CompositeCrops
from nssa_gis.train.datasets import Findings, check_data, count, in_memory, load_split
from nssa_gis.train.description import describe
from nssa_gis.train.distributed import ALONE, Ranks
from nssa_gis.train.ema import MovingAverage
from nssa_gis.train.loading import load_batches, shares
from nssa_gis.train.losses import Truth, detection_loss
from nssa_gis.train.optimisation import CLIP_NORM, WEIGHT_DECAY, autocast_type, learning_rate, parameter_groups
from nssa_gis.train.options import TrainOptions
from nssa_gis.train.paste import Paster, cut_out
from nssa_gis.train.recipe import Recipe
from nssa_gis.train.shared_norm import share_batch_norm
from nssa_gis.train.warm_start import take_weights

_log = logging.getLogger(__name__)

#: From this share of the steps on crops are cut from one image where it fills them: objects as they will be met. (A
#: time budget knows its share only when the crops are made already: it keeps the mixture to the end.)
_WHOLE_FROM = 0.85
#: Side of a crop by trunk, pixels.
_CROPS = {"csp": 256, "resnet": 832}


#: Name of the checkpoint in a run folder.
CHECKPOINT_NAME = "checkpoint.safetensors"


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
        Takes a dict per event (``init``, ``data``, ``warning``, ``step``, ``validate``).
    ranks : Ranks
        The processes that train together; the first alone reports, validates and writes.

    Raises
    ------
    UsageError
        The batch or the device cannot be shared.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: DetectorConfig,
        options: TrainOptions,
        folder: Path,
        report: Callable[[dict[str, Any]], None],
        ranks: Ranks = ALONE,
    ) -> None:
        ranks.share(options.batch)
        self.recipe, self.options, self.folder, self.ranks = recipe, options, folder, ranks
        self.report = report if ranks.first else lambda event: None
        self.device = ranks.device(options.device)
        self.crop = options.crop or _CROPS[config.trunk]
        torch.manual_seed(options.seed)
        self.model = DetectionNetwork(config).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = MovingAverage(self.model)
        self.assign = ASSIGNERS[options.assigner]()
        if ranks.count > 1:
            share_batch_norm(self.model)
        self.forward: torch.nn.Module = self.model
        self.autocast = autocast_type(self.device)
        _log.debug("training on %s, mixed precision %s, crops of %d px", self.device, self.autocast, self.crop)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.autocast is torch.float16)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, WEIGHT_DECAY), lr=options.learning_rate, foreach=True
        )
        self.step, self.elapsed = 0, 0.0
        self.started_from = ""
        self.train_images: list[list[LabelledImage]] = []
        self.val_images: list[list[LabelledImage]] = []
        self.findings = Findings()
        self._in_step = self._stopping = False
        self._begun_with: dict[str, Any] = {}  # options of a run that is resumed

    @property
    def checkpoint(self) -> Path:
        """The one checkpoint file of the run."""
        return self.folder / CHECKPOINT_NAME

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        if self.options.steps:
            return self.step / self.options.steps
        return self.elapsed / (self.options.time_budget or 1.0)

    def start_from(self, package: ModelPackage) -> None:
        """Take the weights of a package whose network is the same; classes and heads that it lacks start anew.

        Raises
        ------
        NssaError
            Its network is another one.
        """
        new_classes, new_heads = take_weights(self.model, tuple(self.recipe.classes), package)
        self.average.module.load_state_dict(self.model.state_dict())
        self.started_from = f"{package.info.name} {package.info.version}"
        self.report({"event": "init", "model": self.started_from, "new_classes": new_classes, "new_heads": new_heads})

    def start_trunk(self, path: Path) -> None:
        """Take the weights of a ResNet of torchvision's or timm's names (:func:`nssa_gis.model.resnet.load_resnet`)."""
        assert isinstance(self.model.trunk, ResNetTrunk)
        load_resnet(self.model.trunk, path)
        self.average.module.load_state_dict(self.model.state_dict())
        self.started_from = path.name
        self.report({"event": "init", "model": self.started_from, "new_classes": list(self.recipe.classes)})

    def resume(self) -> None:
        """Go on from the checkpoint: weights, EMA, optimiser, position in the data.

        How many processes share the batch may change.

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
        self._begun_with = {**progress["options"], "sources": progress.get("sources")}
        self.model.load_state_dict(parts["model"])
        self.average.module.load_state_dict(parts["ema"])
        restore_optimizer(self.optimizer, self.model, parts.get("optimizer", {}))  # none yet at step 0
        self.scaler.load_state_dict(progress.get("scaler", {}) or self.scaler.state_dict())
        self.step, self.elapsed = progress["step"], progress["elapsed"]
        self.average.n_averaged.fill_(progress["updates"] + 1)
        self.started_from = progress.get("started_from", "")

    def load(self) -> None:
        """Load and check the data; :meth:`run` does it if it was not done.

        Raises
        ------
        NssaError
            A source is unreadable, or there is nothing to train on.
        """
        train = load_split(self.recipe, "train")
        self.findings = check_data(self.recipe, train)
        self.val_images = load_split(self.recipe, "val")
        self.train_images = in_memory(train)

    def stop(self) -> None:
        """End the run, for a signal handler: after the present step, or at once if none is under way.

        Several processes all end after the same step, the next one that they agree on.

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
            Per source, and ``all``; of several processes the first alone validates, the others get none.

        Raises
        ------
        KeyboardInterrupt
            Interrupted; the checkpoint is of the last complete step, unless the interrupt broke into a step.
        """
        with cpu_threads(self.options.threads):
            return self._run()

    def _run(self) -> dict[str, Accuracy]:
        if not self.train_images:
            self.load()
        self._report_data()
        self._report_changes()
        crops = CompositeCrops(
            self.train_images,
            [s.weight for s in self.recipe.sources],
            self.crop,
            self.recipe.gsd,
            self.options.seed,
            paster=self._paster(),
            clutter=self.recipe.clutter,
            whole_from=round(_WHOLE_FROM * self.options.steps) * self.options.batch if self.options.steps else None,
        )
        try:
            if self.progress < 1:
                self._train(crops)
            self.save()
        except KeyboardInterrupt:
            if not self._in_step:
                self.save()
            raise
        return self._validate() if self.ranks.first else {}

    def _train(self, crops: CompositeCrops) -> None:
        """Step after step until the run is done."""
        self.model.train()
        if self.ranks.count > 1:
            self.forward = DistributedDataParallel(
                self.model,
                device_ids=[self.device] if self.device.type == "cuda" else None,
                static_graph=True,  # always the same parameters: a level without a head leaves some unused
            )
        # of several processes none may leave the others alone between two steps
        together = self._in_step = self.ranks.count > 1
        mark = last_save = last_validation = time.monotonic()
        for images, truth in self._batches(crops):
            self._in_step = True
            losses = self._train_step(images, truth)
            now = time.monotonic()
            self.elapsed += now - mark
            mark = now
            stopping = self._agree()
            self._in_step = together
            self.report({"event": "step", "step": self.step, "elapsed": self.elapsed, **losses})
            if stopping:
                self._stop_together()
            if now - last_save > self.options.checkpoint_every:
                self.save()
                last_save = now
            if self.ranks.first and self.options.validate_every and now - last_validation > self.options.validate_every:
                started = time.monotonic()
                self._validate_few()
                last_validation = time.monotonic()
                mark += last_validation - started
            if self.progress >= 1:
                break
        self._in_step = False

    def _agree(self) -> bool:
        """Share the clock of the first process, and tell whether any was to stop: all do the same next."""
        self.elapsed, told = self._sum([self.elapsed if self.ranks.first else 0.0, float(self._stopping)])
        return told > 0

    def _stop_together(self) -> None:
        if self.ranks.count > 1:
            self.save()
            self.ranks.wait()  # torchrun ends the others when one has ended: the file must be there by then
        raise KeyboardInterrupt

    def _validate_few(self) -> None:
        """Validate on few images; an interrupt cuts it short."""
        together, self._in_step = self._in_step, False
        try:
            self._validate(limit=40)
        except KeyboardInterrupt:
            if not together:
                raise
            self._stopping = True  # the others wait in the next step, and learn of it there
        self._in_step = together

    def save(self) -> None:
        """Write the checkpoint; of several processes the first does."""
        if not self.ranks.first:
            return
        parts = {
            "model": self.model.state_dict(),
            "ema": self.average.module.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        progress = {
            "step": self.step,
            "elapsed": self.elapsed,
            "updates": int(self.average.n_averaged) - 1,
            "scaler": self.scaler.state_dict(),
            "started_from": self.started_from,
            "network": self.model.config.to_dict(),
            "options": self.options.model_dump(mode="json"),
            "setting": self._setting(),
            "sources": self._sources(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.checkpoint, parts, progress)
        _log.debug("checkpoint of step %d: %s", self.step, self.checkpoint)

    def _setting(self) -> dict[str, Any]:
        """Gather what a resumed run must share with the one before."""
        kept = {k: getattr(self.options, k) for k in ("batch", "seed", "assigner")}
        classes = {name: list(members) for name, members in self.recipe.classes.items()}
        ranges = self.recipe.value_range
        kept |= {"crop": self.crop, "value_range": None if ranges is None else [list(pair) for pair in ranges]}
        return {"recipe": self.recipe.name, "classes": classes, "gsd": self.recipe.gsd, **kept}

    def _sources(self) -> dict[str, str]:
        """Weight of each source, and a digest of what else the recipe says of it: crops follow from both."""
        told = {}
        for number, s in enumerate(self.recipe.sources, 1):
            labels = [Path(f).read_bytes() for f in (s.annotations, s.additions) if f and Path(f).is_file()]
            plain = {"path": Path(s.name), "weight": 0.0, "annotations": None, "additions": None}
            rest = repr(s.model_copy(update=plain)).encode()
            told[f"{number} {s.name}"] = f"{s.weight:g} {hashlib.sha256(b'/'.join((rest, *labels))).hexdigest()[:8]}"
        return told

    def _report_changes(self) -> None:
        """Warn of what may change at a resume but bends the learning curve."""
        now = {**self.options.model_dump(mode="json"), "sources": self._sources()}
        for name in ("steps", "time_budget", "learning_rate", "sources"):
            before = self._begun_with.get(name)
            if before is not None and before != now[name]:
                message = f"the run was begun with {name} {before}, not {now[name]}; it will not go on as it would have"
                self.report({"event": "warning", "message": message})

    def _paster(self) -> Paster | None:
        bank = [
            item
            for source, images in zip(self.recipe.sources, self.train_images, strict=True)
            if source.cut_out
            for item in cut_out(images, widest=None if source.cut_out is True else source.cut_out)
        ]
        return Paster(bank) if bank else None

    def _report_data(self) -> None:
        for message in self.findings.warnings:
            self.report({"event": "warning", "message": message})
        figures = {"train": count(self.train_images), "val": count(self.val_images)}
        self.report({"event": "data", **figures, "dropped": self.findings.dropped, "unused": self.findings.unused})
        if not figures["val"]["images"]:
            self.report(
                {
                    "event": "warning",
                    "message": "nothing is held out: no accuracy is measured and the confidence threshold is a guess",
                }
            )

    def _validate(self, limit: int | None = None) -> dict[str, Accuracy]:
        info = describe(self.recipe, self.model.config, self.train_images)
        detector = Detector.of_network(self.average.module, info, autocast=self.autocast)
        found = validate(detector, self.val_images, limit)
        self.report({"event": "validate", "step": self.step, **{k: asdict(v) for k, v in found.items()}})
        return found

    def _batches(self, crops: CompositeCrops) -> Iterator[tuple[torch.Tensor, list[Truth]]]:
        """Batches from where the run stands: crop number i is the same in every run of one seed."""
        numbers = shares(self.step, self.options.steps or 10_000_000, self.options.batch, self.ranks)
        return load_batches(crops, numbers, self.options.workers, self.device)

    def _train_step(self, images: torch.Tensor, truth: list[Truth]) -> dict[str, float]:
        rate = learning_rate(self.options.learning_rate, self.options.batch, self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            out = self.forward(images)
        losses = detection_loss(self.model, out, truth, self.assign, images.shape[-1], self.ranks.sum)
        figures = torch.stack((losses.total.detach(), losses.classes, losses.boxes)).tolist()
        total, classes, boxes, positives = self._sum([*figures, losses.positives])
        if not math.isfinite(total):
            raise NssaError(f"the loss is not finite at step {self.step}; lower --learning-rate")
        self.optimizer.zero_grad(set_to_none=True)
        # the average that DistributedDataParallel takes over the processes has to be a sum
        torch.autograd.backward(self.scaler.scale(losses.total * self.ranks.count))
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update_parameters(self.model)
        self.step += 1
        return {
            "loss": total,
            "classes": classes,
            "boxes": boxes,
            "positives": int(positives),
            "norm": norm.item(),
            "rate": rate,
        }

    def _sum(self, values: list[float]) -> list[float]:
        """Sum numbers over the processes."""
        if self.ranks.count == 1:
            return values
        summed: list[float] = self.ranks.sum(torch.tensor(values, dtype=torch.float64, device=self.device)).tolist()
        return summed
