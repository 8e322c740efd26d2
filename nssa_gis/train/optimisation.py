"""Learning rate, parameter groups and precision of the optimiser."""

from __future__ import annotations

import math
from typing import Any

import torch

from nssa_gis.runtime.backends.torch import cpu_has_bf16

#: Gradients are clipped to this norm.
CLIP_NORM = 10.0
#: On weights of convolutions.
WEIGHT_DECAY = 0.05


def learning_rate(base: float, batch: int, done: float) -> float:
    """3 % linear warm-up, then cosine down to 2 %.

    Parameters
    ----------
    base : float
        Peak rate for a batch of 16; scaled with the square root of the batch.
    batch : int
        Crops per step, of all processes together.
    done : float
        Share of the run that is done, 0 to 1.
    """
    peak, done = base * math.sqrt(batch / 16), min(1.0, done)
    if done < 0.03:
        # with a time budget the first step has 0 s elapsed: the rate must not be 0
        return peak * max(done / 0.03, 0.01)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.03) / 0.97)))


def parameter_groups(model: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on convolution kernels only: never on norms, biases and activation parameters."""
    named = list(model.named_parameters())
    # by name too, because a table of position biases may have four dimensions
    heavy = [p for name, p in named if p.ndim == 4 and name.endswith("weight")]
    light = [p for name, p in named if not (p.ndim == 4 and name.endswith("weight"))]
    return [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]


def autocast_type(device: torch.device) -> torch.dtype | None:
    """bf16 on CPUs and GPUs that support it, fp16 (with loss scaling) on older GPUs; float32 elsewhere."""
    if device.type == "cuda":
        # an emulated bf16 is slower than float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bf16() else None
