"""Diffusion wavelet convolution: parallel frequency bands from a diffusion operator on the pixel grid."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def diffuse(x: Tensor, kernel: Tensor, dilation: int = 1) -> Tensor:
    """Apply the diffusion operator T once: separable binomial [1 2 1]/4, replicate padding.

    Its symbol is cos^2(u/2) cos^2(v/2), within [0, 1]. Its rows sum to one at the border too, so a constant image
    stays constant (zero padding would darken the border).

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
        Any H and W; ``dilation`` may exceed them.
    kernel : Tensor, shape (C, 1, 3, 3)
        :func:`binomial` repeated per channel.
    dilation : int
        Distance of the taps, in positions.
    """
    padded = F.pad(x, (dilation, dilation, dilation, dilation), mode="replicate")
    return F.conv2d(padded, kernel, dilation=dilation, groups=x.shape[1])


def binomial(channels: int) -> Tensor:
    """``(C, 1, 3, 3)``: the outer product of [1 2 1]/4 with itself, once per channel."""
    line = torch.tensor([0.25, 0.5, 0.25])
    return (line[:, None] * line).expand(channels, 1, 3, 3).contiguous()


def power_coefficients(power: int, order: int) -> Tensor:
    """Chebyshev coefficients of ``t -> t^power`` on [0, 1], cut at ``order``: float64 ``(order + 1,)``.

    With x = 2t - 1: t^m = sum' c_k T_k(x), c_k = 2^(1-2m) binom(2m, m-k), the first one halved; exact for
    order >= power.
    """
    c = [math.ldexp(math.comb(2 * power, power - k), 1 - 2 * power) if k <= power else 0.0 for k in range(order + 1)]
    c[0] /= 2
    return torch.tensor(c, dtype=torch.float64)


class DiffusionWaveletConv(nn.Module):
    r"""Refine a map with parallel frequency bands before it is down-sampled.

    ``atrous``: A_0 = x, A_{j+1} = T_{dilation 2^j} A_j; bands D_j = A_j - A_{j+1}, residue A_J. The bands add up to
    the input exactly. ``chebyshev``: bands T^{2^{j-1}} - T^{2^j} (and I - T, and the residue T^{2^{J-1}}) of the
    diffusion wavelets of Coifman and Maggioni (2006), as polynomials of order K in the Chebyshev recursion of
    2T - I; one recursion serves all bands::

        y = sum_j Conv1x1_j(a_j * D_j) + Conv1x1_J(A_J);     Y = X + BN(y)        (BN gain 0 at the start: identity)

    Stated by the paper: multi-channel features in parallel branches that are frequency bands, wavelets approximated
    by polynomials, a larger field of view with edges kept. Inferred: the operator, the dyadic scales, the place.
    The gains a_j are part of the 1x1 convolutions, which run as one over the stacked bands. Learned filters stay
    wavelets: à-trous taps are a softmax (positive, sum one), so T stays an average; the mean coefficient of the
    Chebyshev band-passes is subtracted, so their response to a constant stays zero.

    Cost: J (or K) depth-wise 3x3 and (J+1) C^2 multiply-adds per position.

    Parameters
    ----------
    channels : int
        C of the map ``(B, C, H, W)``.
    form : {"atrous", "chebyshev"}
        The two forms above.
    bands : int
        J >= 1.
    order : int
        K, order of the Chebyshev polynomials.
    learnable : bool
        Learn the taps of T per channel (atrous) or the polynomials' coefficients (chebyshev).
    """

    kernel: Tensor

    def __init__(
        self, channels: int, form: str = "atrous", bands: int = 3, order: int = 4, learnable: bool = False
    ) -> None:
        super().__init__()
        if form not in ("atrous", "chebyshev"):
            raise ValueError(f"unknown form {form!r}")
        self.form, self.bands = form, bands
        self.taps: nn.Parameter | None = None
        self.register_buffer("kernel", binomial(channels), persistent=False)
        if form == "chebyshev":
            self.theta = nn.Parameter(_band_coefficients(bands, order).float(), requires_grad=learnable)
        elif learnable:
            self.taps = nn.Parameter(torch.tensor([0.25, 0.5, 0.25]).log().repeat(channels, 2, 1))
        self.mix = nn.Conv2d((bands + 1) * channels, channels, 1, bias=False)
        norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)
        nn.init.zeros_(norm.weight)
        self.norm: nn.Module = norm  # folding for inference replaces it by an identity

    def decompose(self, x: Tensor) -> list[Tensor]:
        """Split ``(B, C, H, W)`` into J bands, finest first, and the low-pass residue; they add up to ``x``.

        (Exactly so in the atrous form, and at the start in the Chebyshev form.)
        """
        kernel = (self.kernel if self.taps is None else _learned(self.taps)).to(x.dtype)
        if self.form == "atrous":
            low = [x]
            for j in range(self.bands):
                low.append(diffuse(low[-1], kernel, 2**j))
            return [fine - coarse for fine, coarse in pairwise(low)] + low[-1:]
        terms = [x, 2 * diffuse(x, kernel) - x]
        while len(terms) < self.theta.shape[1]:
            terms.append(2 * (2 * diffuse(terms[-1], kernel) - terms[-1]) - terms[-2])
        # T_k(1) = 1, so without the mean coefficient the response of a band-pass to a constant is zero
        theta = torch.cat((self.theta[:-1] - self.theta[:-1].mean(1, keepdim=True), self.theta[-1:]))
        return [sum(c * t for c, t in zip(row, terms, strict=True)) for row in theta.to(x.dtype)]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        out: Tensor = x + self.norm(self.mix(torch.cat(self.decompose(x), 1)))
        return out


def _learned(taps: Tensor) -> Tensor:
    """Separable kernels ``(C, 1, 3, 3)`` of logits ``(C, 2, 3)``, down and across."""
    down, across = taps.softmax(-1).unbind(1)
    return (down[:, :, None] * across[:, None, :]).unsqueeze(1)


def _band_coefficients(bands: int, order: int) -> Tensor:
    """``(J + 1, K + 1)``: I - T, then T^(2^(j-1)) - T^(2^j), then the residue."""
    identity = torch.zeros(order + 1, dtype=torch.float64)
    identity[0] = 1
    low = [identity] + [power_coefficients(2**j, order) for j in range(bands)]
    return torch.stack([a - b for a, b in pairwise(low)] + [low[-1]])
