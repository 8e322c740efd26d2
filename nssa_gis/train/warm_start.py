"""Start a training from the weights of a package."""

from __future__ import annotations

from dataclasses import asdict

import torch

from nssa_gis.errors import NssaError
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.package import ModelPackage


@torch.no_grad()
def take_weights(
    model: DetectionNetwork, classes: tuple[str, ...], package: ModelPackage
) -> tuple[list[str], list[int]]:
    """Copy the weights of a package into a network of the same shape; classes and heads may differ.

    In the last layer of each class branch the classes are matched by name. Classes and heads that the package lacks
    keep their start values.

    Parameters
    ----------
    model : DetectionNetwork
        Changed in place.
    classes : tuple of str
        Its classes, in order.
    package : ModelPackage
        Source of the weights.

    Returns
    -------
    new_classes : list of str
        Classes that the package does not know.
    new_heads : list of int
        Strides of the heads that it does not have.

    Raises
    ------
    NssaError
        The networks differ in more than classes and heads, or the package does not fit this version.
    """
    source, known = build_detector(package), package.info.classes
    ours = model.config
    mine, theirs = asdict(ours), asdict(source.config)
    differing = [k for k in mine if mine[k] != theirs[k] and k not in ("name", "classes", "head_strides")]
    if differing:
        raise NssaError(
            f"{package.path}: its network {source.config.name} is not the {ours.name} asked for "
            f"({', '.join(differing)} differ); give the same --size or leave --init out"
        )
    fresh = model.state_dict()
    state = {key: value for key, value in source.state_dict().items() if key in fresh}  # except heads that it lacks
    for stride, head in model.heads.items():
        if stride not in source.heads:
            continue
        for kind in ("weight", "bias"):
            key = f"heads.{stride}.classify.{len(head.classify) - 1}.{kind}"  # type: ignore[arg-type]
            rows = fresh[key].to(state[key].device, copy=True)
            for i, name in enumerate(classes):
                if name in known:
                    rows[i] = state[key][known.index(name)]
            state[key] = rows
    model.load_state_dict(fresh | state)
    new_heads = [int(stride) for stride in model.heads if stride not in source.heads]
    return [name for name in classes if name not in known], new_heads
