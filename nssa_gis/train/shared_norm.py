"""BatchNorm with the statistics of the whole batch, also if several processes share it.

``torch.nn.SyncBatchNorm`` runs on GPUs only and cannot be tested without one; this class runs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d over the shares of all processes, which must have the same size.

    Parameters and buffers have the names of ``BatchNorm2d``, so state dicts fit both. In evaluation mode they agree.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(B, C, H, W)`` by the mean and variance over the batches of all processes."""
        if not self.training:
            return super().forward(x)
        apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _SharedNorm.apply  # torch gives it no types
        out, mean, variance = apply(x, self.weight, self.bias, self.eps)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
            self.num_batches_tracked += 1
        return out


def share_batch_norm(model: nn.Module) -> None:
    """Replace every BatchNorm2d in a model, in place; the parameters and buffers stay the same objects."""
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared._parameters, shared._buffers = child._parameters, child._buffers
            setattr(model, name, shared.train(child.training))
        else:
            share_batch_norm(child)


class _SharedNorm(torch.autograd.Function):
    """The differentiable part: returns the output, and the mean and biased variance of the whole batch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        full = x if x.dtype == torch.float64 else x.float()
        own_variance, own_mean = torch.var_mean(full, (0, 2, 3), correction=0)
        # the moments of each process separately: sums of squares would cancel where the mean is large
        moments = own_mean.new_zeros(dist.get_world_size(), 2, len(own_mean))
        moments[dist.get_rank()] = torch.stack((own_mean, own_variance))
        dist.all_reduce(moments)
        means, variances = moments.unbind(1)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale = ctx.saved_tensors
        shape = (1, -1, 1, 1)
        full = grad.to(mean.dtype)
        normed = (x.to(mean.dtype) - mean.view(shape)) * scale.view(shape)
        sums = torch.stack((full.sum((0, 2, 3)), (full * normed).sum((0, 2, 3))))
        of_bias, of_weight = sums.clone()  # of this process: the gradients of parameters are reduced later
        dist.all_reduce(sums)
        average, slope = sums / (x.numel() // x.shape[1] * dist.get_world_size())
        inner = full - average.view(shape) - normed * slope.view(shape)
        return (inner * (weight * scale).view(shape)).to(x.dtype), of_weight, of_bias, None
