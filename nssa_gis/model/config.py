"""Network configurations: the named sizes and their (de)serialisation for the model package."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from nssa_gis.errors import first_fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Image sides and tile origins are multiples of this many pixels. So each level is exactly twice as large as the next,
#: and the attention windows (8 positions at stride 8) lie at the same places of the scene in every tile.
PAD_MULTIPLE = 64
#: Strides of the pyramid levels, finest first.
STRIDES = (4, 8, 16, 32)


def _levels(strides: tuple[int, ...]) -> tuple[int, ...]:
    if not set(strides) <= set(STRIDES) or len(set(strides)) != len(strides):
        raise ValueError(f"should be some of the strides {STRIDES}, each once")
    return strides


# The limits are checked before any memory is allocated for a network of these sizes.
_Count = Annotated[int, Field(ge=1, le=65_536)]
_Small = Annotated[int, Field(ge=1, le=64)]
_Depth = Annotated[int, Field(ge=0, le=64)]
_Strides = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_levels)]
_Widths = Annotated[tuple[_Count, ...], Field(min_length=3, max_length=4)]
_Depths = Annotated[tuple[_Depth, ...], Field(min_length=3, max_length=4)]
_SETTINGS = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=_SETTINGS)
class SparseAttentionConfig:
    """Non-semantic sparse attention (:class:`nssa_gis.model.nssa.NonSemanticSparseAttention`).

    Attributes
    ----------
    strides : tuple of int
        Pyramid levels that get one block each.
    partition : {"local", "dilated"}
        ``local``: contiguous windows of ``window`` x ``window`` positions (in the words of the paper: "within local
        patches"). ``dilated``: interleaved groups with equal (row mod ``window``, column mod ``window``), as in
        SparseViT's code; its cost grows with the square of the image area.
    window : int
        Window side, or sparsity S of the dilated form, in positions.
    head_dim : int
        Channels per attention head.
    """

    strides: _Strides = (8,)
    partition: Literal["local", "dilated"] = "local"
    window: _Small = 8
    head_dim: _Count = 16


@dataclass(frozen=True, config=_SETTINGS)
class CrossLayerConfig:
    """Cross-layer channel attention (:class:`nssa_gis.model.cross_layer.CrossLayerChannelAttention`).

    Attributes
    ----------
    strides : tuple of int
        Consecutive pyramid levels that attend to one another, finest first (2 to 4 levels).
    hidden : int
        Channel windows per level, h.
    heads : int
        Groups of windows that share a position bias; divides ``hidden``.
    activation : {"dyt", "dyisru", "derf", "layernorm"}
        Element-wise activation that replaces the normalisation; ``layernorm`` gives plain CFPT.
    mlp_ratio : int
        Width of the point-wise MLP relative to the channels; 0 leaves the MLP out.
    """

    strides: _Strides = (4, 8, 16)
    hidden: _Count = 16
    heads: _Count = 4
    activation: Literal["dyt", "dyisru", "derf", "layernorm"] = "dyt"
    mlp_ratio: Annotated[int, Field(ge=0, le=16)] = 0


@dataclass(frozen=True, config=_SETTINGS)
class WaveletConfig:
    """Diffusion wavelet convolution (:class:`nssa_gis.model.diffusion_wavelet.DiffusionWaveletConv`).

    Attributes
    ----------
    strides : tuple of int
        Trunk stages whose output is refined before the next down-sampling.
    form : {"atrous", "chebyshev"}
        Low-pass cascade with holes, or Chebyshev polynomials of the diffusion operator.
    bands : int
        Number of band-pass branches J; the low-pass residue is one branch more.
    order : int
        Polynomial order K of the Chebyshev form.
    learnable : bool
        Learn the filters instead of keeping them fixed.
    """

    strides: _Strides = (4, 8)
    form: Literal["atrous", "chebyshev"] = "atrous"
    bands: Annotated[int, Field(ge=1, le=8)] = 3
    order: _Small = 4
    learnable: bool = False


@dataclass(frozen=True, config=_SETTINGS)
class DetectorConfig:
    """Everything that determines the shape of the network.

    Attributes
    ----------
    name : str
        Name of the size, such as ``nssa-s``.
    classes : int
        Number of classes.
    in_channels : int
        Bands of the input image.
    stem : int
        Channels after the stem (stride 2).
    widths, depths : tuple of int
        Channels and blocks of the trunk stages at strides 4, 8, 16 (and 32).
    neck : tuple of int
        Channels of the pyramid levels, as many as stages.
    head_depth : int
        3x3 convolutions per branch of the head.
    head_strides : tuple of int
        Levels with a head: 4 and 8, and 16 for objects over 48 px.
    trunk : {"csp", "resnet"}
        ``csp``: :class:`nssa_gis.model.trunk.Trunk`, three stages. ``resnet``:
        :class:`nssa_gis.model.resnet.ResNetTrunk`, four stages of bottlenecks.
    pyramid : {"path", "cross"}
        ``path``: path aggregation (:class:`nssa_gis.model.neck.PathNeck`), three levels. ``cross``: cross-layer
        attention instead (:class:`nssa_gis.model.neck.CrossNeck`), levels of equal width.
    sparse_attention, cross_layer, wavelet : config or None
        The three modules; None leaves one out (ablation).
    """

    name: str = "nssa-s"
    classes: _Count = 1
    in_channels: _Count = 3
    stem: _Count = 24
    widths: _Widths = (48, 96, 160)
    depths: _Depths = (1, 2, 2)
    neck: _Widths = (64, 64, 128)
    head_depth: _Depth = 2
    head_strides: _Strides = (4, 8)
    sparse_attention: SparseAttentionConfig | None = SparseAttentionConfig()
    cross_layer: CrossLayerConfig | None = CrossLayerConfig()
    wavelet: WaveletConfig | None = WaveletConfig()
    trunk: Literal["csp", "resnet"] = "csp"
    pyramid: Literal["path", "cross"] = "path"

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the pyramid levels, finest first."""
        return STRIDES[: len(self.neck)]

    def plain(self) -> DetectorConfig:
        """Return the same network without the three modules."""
        return replace(self, name=f"{self.name}-plain", sparse_attention=None, cross_layer=None, wavelet=None)

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DetectorConfig:
        """Rebuild from :meth:`to_dict`.

        Raises
        ------
        ValueError
            Keys are unknown or missing (the package comes from another version of the network), or the values do not
            fit together.
        """
        for name, kind in {"the network": cls, **_MODULES}.items():
            part = values if kind is cls else values.get(name)
            missing = {f.name for f in fields(kind)} - _LATER - set(part) if isinstance(part, dict) else ()
            if missing:  # a default may be another function under the same weights
                raise ValueError(f"{name} lacks {', '.join(sorted(missing))}")
        try:
            return TypeAdapter(cls).validate_json(json.dumps(values))  # as JSON: lists become tuples
        except ValidationError as error:
            raise ValueError(first_fault(error)) from None

    @model_validator(mode="after")
    def _check(self) -> DetectorConfig:
        """Raise ValueError unless the parts fit together."""
        levels = 4 if self.trunk == "resnet" else 3
        if not len(self.widths) == len(self.depths) == len(self.neck) == levels:
            raise ValueError(f"a {self.trunk} trunk has {levels} stages: give as many widths, depths and neck levels")
        if self.pyramid == "path" and levels != 3:
            raise ValueError("the path neck has three levels")
        if self.pyramid == "cross" and len(set(self.neck)) != 1:
            raise ValueError("the levels of the cross neck are equally wide")
        for name, part in (
            ("head", self.head_strides),
            *((n, getattr(self, n).strides) for n in _MODULES if getattr(self, n)),
        ):
            if not set(part) <= set(self.strides):
                raise ValueError(f"{name}: strides {part} are not all among {self.strides}")
        if self.cross_layer:
            c = self.cross_layer
            first = self.strides.index(c.strides[0])
            if len(c.strides) < 2 or c.strides != self.strides[first : first + len(c.strides)]:
                raise ValueError(f"cross_layer: strides {c.strides} are not two or more neighbours, finest first")
            if c.hidden % c.heads:
                raise ValueError(f"cross_layer: heads {c.heads} do not divide hidden {c.hidden}")
        if self.sparse_attention:
            width = dict(zip(self.strides, self.neck, strict=True))
            for stride in self.sparse_attention.strides:
                if width[stride] % self.sparse_attention.head_dim:
                    raise ValueError(
                        f"sparse_attention: head_dim {self.sparse_attention.head_dim} does not divide the "
                        f"{width[stride]} channels at stride {stride}"
                    )
        return self


#: Keys that packages of version 0.1 lack; missing ones get the defaults.
_LATER = frozenset(("trunk", "pyramid", "learnable"))
_MODULES: dict[str, Any] = {
    "sparse_attention": SparseAttentionConfig,
    "cross_layer": CrossLayerConfig,
    "wavelet": WaveletConfig,
}

#: The named networks: three sizes for a CPU, and one with the sizes of the published networks.
SIZES: dict[str, DetectorConfig] = {
    "nssa-n": DetectorConfig(
        name="nssa-n",
        stem=16,
        widths=(32, 64, 128),
        depths=(1, 2, 2),
        neck=(48, 48, 96),
        head_depth=1,
        cross_layer=CrossLayerConfig(strides=(8, 16)),
    ),
    "nssa-s": DetectorConfig(),
    "nssa-m": DetectorConfig(
        name="nssa-m",
        stem=32,
        widths=(64, 128, 224),
        depths=(1, 2, 3),
        neck=(80, 80, 160),
        sparse_attention=SparseAttentionConfig(strides=(4, 8)),
        cross_layer=CrossLayerConfig(mlp_ratio=2),
    ),
    # For a GPU, input 800 to 1333 px: a ResNet-50 and CFPT's sizes (256 channels, four levels, h = 64, MLP ratio 2).
    # The strides are half of CFPT's 8 to 64, because the objects are 6 to 30 px.
    "nssa-paper": DetectorConfig(
        name="nssa-paper",
        stem=64,
        widths=(256, 512, 1024, 2048),
        depths=(3, 4, 6, 3),
        neck=(256, 256, 256, 256),
        head_depth=4,
        head_strides=(4, 8, 16, 32),
        sparse_attention=SparseAttentionConfig(strides=(4, 8), head_dim=32),
        cross_layer=CrossLayerConfig(strides=(4, 8, 16, 32), hidden=64, heads=4, mlp_ratio=2),
        trunk="resnet",
        pyramid="cross",
    ),
}


def named_config(name: str, classes: int) -> DetectorConfig:
    """Look up a size by name; the suffix ``-plain`` leaves out the three modules.

    Raises
    ------
    ValueError
        Unknown name.
    """
    base = name.removesuffix("-plain")
    if base not in SIZES:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(SIZES)} (each also with -plain)")
    config = replace(SIZES[base], classes=classes)
    return config.plain() if name.endswith("-plain") else config


def load_config(name_or_path: str, classes: int) -> DetectorConfig:
    """Look up a named network, or read one from a TOML file.

    The file states the differences from a named network. ``base`` is the name. The other keys are fields of
    :class:`DetectorConfig`, except ``classes`` and ``in_channels``, which depend on the data. A module is a table of
    the fields that differ, or ``false`` to leave it out::

        base = "nssa-s"
        depths = [1, 3, 3]
        cross_layer = false
        [sparse_attention]
        partition = "dilated"

    Parameters
    ----------
    name_or_path : str
        Such as ``nssa-s``, ``nssa-s-plain`` or ``mine.toml``.
    classes : int
        Number of classes.

    Raises
    ------
    ValueError
        The name is unknown, the file cannot be read, or the values do not fit together; the text says which.
    """
    if not name_or_path.endswith(".toml"):
        return named_config(name_or_path, classes)
    path = Path(name_or_path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"cannot read the network {path}: {error}") from None
    settled = {"classes", "in_channels"} & set(values)
    if settled:
        raise ValueError(f"{path}: {', '.join(sorted(settled))}: settled by the data, not by the network")
    try:
        base = named_config(str(values.pop("base", "nssa-s")), classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    merged: dict[str, Any] = {**base.to_dict(), "name": path.stem, **values}
    defaults = DetectorConfig().to_dict()
    for name in _MODULES:
        given = values.get(name)
        if given is False:
            merged[name] = None
        elif isinstance(given, dict):
            merged[name] = {**(base.to_dict()[name] or defaults[name]), **given}
    try:
        return DetectorConfig.from_dict(merged)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None
