"""A ResNet trunk; its parameters have the names that torchvision and timm use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nssa_gis.errors import NssaError
from nssa_gis.model.config import STRIDES, DetectorConfig
from nssa_gis.model.trunk import refine, wavelets_of

#: Mean and deviation of ImageNet's RGB values 0 to 1, which pretrained weights expect.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Outputs of a bottleneck per channel of its 3x3 convolution.
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, each with BatchNorm, beside a shortcut (He et al., CVPR 2016; v1.5)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        planes = c_out // _EXPANSION
        self.conv1 = nn.Conv2d(c_in, planes, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, c_out, 1, bias=False)
        self.bn3: nn.Module = nn.BatchNorm2d(c_out)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, c_in, H, W)`` to ``(B, c_out, H / stride, W / stride)``."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNetTrunk(nn.Module):
    """Stem of stride 4 and four stages of bottlenecks, with diffusion wavelet convolutions after the stages named.

    With widths (256, 512, 1024, 2048) and depths (3, 4, 6, 3) it is ResNet-50. The wavelet convolutions start as
    identities, so pretrained weights work unchanged. The paper's own trunk is not known; CFPT's is ResNet.

    Parameters
    ----------
    config : DetectorConfig
        ``stem``, ``widths``, ``depths`` and the wavelet config.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(config.in_channels, config.stem, 7, 2, 3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(config.stem)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        c_in = config.stem
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True), 1):
            first = Bottleneck(c_in, width, 1 if number == 1 else 2)
            rest = (Bottleneck(width, width, 1) for _ in range(depth - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            c_in = width
        self.wavelets = wavelets_of(config)
        bands = config.in_channels
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            # further bands get the average of the three
            more = values + (sum(values) / 3,) * max(bands - 3, 0)
            self.register_buffer(name, torch.tensor(more[:bands]).view(1, -1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """``(B, C, H, W)``, values as the detector scales them (-2 to 2), to maps at strides 4, 8, 16, 32."""
        x = (image * 0.25 + 0.5 - self.mean) / self.deviation
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        maps = []
        for number, stride in enumerate(STRIDES, 1):
            x = refine(self.wavelets, stride, getattr(self, f"layer{number}")(x))
            maps.append(x)
        return maps


def load_resnet(trunk: ResNetTrunk, path: Path) -> None:
    """Load a ResNet state dict by name, as torchvision and timm write it, from a ``.safetensors`` file.

    The classifier (``fc.*``) is skipped; everything else must be there and have the right shape. The wavelet
    convolutions keep their start values.

    Parameters
    ----------
    trunk : ResNetTrunk
        Changed in place.
    path : Path
        The file.

    Raises
    ------
    NssaError
        The file cannot be read, or holds weights of another trunk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise NssaError(f"cannot read the trunk weights {path}: {error}; a .safetensors file is expected") from None
    own = {k: v for k, v in trunk.state_dict().items() if not k.startswith("wavelets.")}
    needed = {k for k in own if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in found.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}
    for names, fault in ((needed - set(given), "lacks"), (set(given) - needed, "has the unknown")):
        if names:
            raise NssaError(
                f"{path}: no ResNet weights of this depth: {fault} {min(names)} (and {len(names) - 1} more)"
            )
    wrong = [k for k in sorted(given) if given[k].shape != own[k].shape]
    if wrong:
        name = wrong[0]
        raise NssaError(f"{path}: {name} is {tuple(given[name].shape)}, {tuple(own[name].shape)} is needed")
    trunk.load_state_dict(given, strict=False)
