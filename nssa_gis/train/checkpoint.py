"""Checkpoints as safetensors: weights, EMA and optimiser state as tensors, the rest as JSON. No pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nssa_gis.errors import NssaError
from nssa_gis.files import atomic_write, remove_leftovers, write_error
from nssa_gis.runtime.package import read_metadata

_KEY = "nssa_gis_checkpoint"


def save_checkpoint(path: Path, parts: dict[str, dict[str, Tensor]], progress: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : Path
        The file.
    parts : dict
        Named state dicts (``model``, ``ema``, ``optimizer``).
    progress : dict
        JSON-able state of the run.

    Raises
    ------
    NssaError
        It cannot be written; an older checkpoint stays as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # clones, because parameters and their EMA may not share storage in the file
    tensors = {f"{part}/{k}": v.detach().clone().contiguous() for part, s in parts.items() for k, v in s.items()}
    remove_leftovers(path)
    with atomic_write(path) as partial:
        try:
            save_file(tensors, partial, metadata={_KEY: json.dumps(progress)})
        except SafetensorError as error:
            raise write_error(path, error) from error


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Raises
    ------
    NssaError
        Not a checkpoint, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    progress = read_progress(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unusable(path, error) from None
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = value
    return parts, progress


def read_progress(path: Path) -> dict[str, Any]:
    """Read the state of the run from a checkpoint; no tensor is loaded.

    Raises
    ------
    NssaError
        Not a checkpoint, or damaged.
    """
    metadata = read_metadata(path)
    try:
        progress: dict[str, Any] = json.loads(metadata[_KEY])
    except (KeyError, ValueError) as error:
        raise _unusable(path, error) from None
    return progress


def _unusable(path: Path, error: Exception) -> NssaError:
    return NssaError(f"{path}: no usable training checkpoint ({error}); start afresh without --resume")


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> dict[str, Tensor]:
    """Flatten an AdamW state to ``<parameter's name>/<field>`` tensors; parameter numbers may change some day."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        f"{names[id(parameter)]}/{field}": torch.as_tensor(value)
        for parameter, fields in optimizer.state.items()
        for field, value in fields.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    """Restore :func:`optimizer_tensors`.

    Raises
    ------
    NssaError
        The parameters differ: the checkpoint comes from another version of the program.
    """
    parameters = dict(model.named_parameters())
    order = [id(p) for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, field = key.rpartition("/")
        if name not in parameters or (value.ndim and value.shape != parameters[name].shape):
            raise NssaError(
                f"the checkpoint comes from another version of nssa-gis (its optimiser has {name!r}); start afresh "
                "without --resume"
            )
        state.setdefault(order.index(id(parameters[name])), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
