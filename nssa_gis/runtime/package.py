"""The one-file model package: safetensors weights with everything else in the metadata. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nssa_gis.errors import NssaError
from nssa_gis.model.config import PAD_MULTIPLE

if TYPE_CHECKING:
    from torch import Tensor

#: Version of the metadata layout; a reader refuses a newer one.
FORMAT = 1
DEFAULT_MODEL = "aerial-vehicles"
#: A header larger than this is no model (the safetensors format itself allows 100 MB).
_MAX_HEADER = 4_000_000
_KEY = "nssa_gis"


@dataclass(frozen=True)
class ModelInfo:
    """What a package says of its model.

    Attributes
    ----------
    name, version : str
        Identity, written to the output layer.
    network : dict
        ``DetectorConfig.to_dict()``.
    classes : tuple of str
        Class names in the order of the logits.
    gsd : float
        Metres per pixel that scenes are resampled to.
    gsd_range : tuple of float
        GSD of scenes the model is meant for, metres per pixel.
    bands : tuple of str
        Names of the input bands in order.
    tile, overlap : int
        Default tile and overlap, pixels of the model grid.
    max_object : float
        Longest side of objects it was trained on, pixels of the model grid.
    score_threshold : float
        Default confidence.
    nms_iou : float
        IoU above which two boxes of a tile are one object.
    licence, training_data : str
        Terms and sources.
    metrics : dict
        Measured accuracy, as ``{split or source: {metric: value}}``.
    created : str
        ISO date.
    """

    name: str
    version: str
    network: dict[str, Any]
    classes: tuple[str, ...]
    gsd: float
    gsd_range: tuple[float, float]
    bands: tuple[str, ...] = ("red", "green", "blue")
    tile: int = 640
    overlap: int = 128
    max_object: float = 80.0
    score_threshold: float = 0.3
    nms_iou: float = 0.5
    licence: str = "unspecified"
    training_data: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    created: str = ""


@dataclass(frozen=True)
class ModelPackage:
    """A package on disk: its file and what it says; weights are read by :meth:`load_weights`.

    Attributes
    ----------
    path : Path
        The file.
    info : ModelInfo
        Its metadata.
    """

    path: Path
    info: ModelInfo

    @property
    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        with open(self.path, "rb") as handle:
            return (
                hashlib.file_digest(handle, "sha256").hexdigest()
                if hasattr(hashlib, "file_digest")
                else (hashlib.sha256(handle.read()).hexdigest())
            )

    @property
    def stride(self) -> int:
        """Tile origins are multiples of this many pixels, so that the network sees every object in one phase."""
        return PAD_MULTIPLE

    def load_weights(self) -> dict[str, Tensor]:
        """Read the tensors (CPU).

        Raises
        ------
        NssaError
            The file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self.path)
        except (SafetensorError, OSError) as error:
            raise NssaError(f"{self.path}: damaged model package ({error}); copy or download it again") from None


def load_package(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> ModelPackage:
    """Find a package by built-in name or by file and read its metadata; torch is not imported.

    Parameters
    ----------
    name_or_path : str or path
        Name of a built-in model (see :func:`built_in_models`) or a ``.safetensors`` file.

    Raises
    ------
    NssaError
        No such model, not a safetensors file, no nssa-gis metadata, or of a newer format.
    """
    text = os.fspath(name_or_path)
    known = built_in_models()
    path = known.get(text) or Path(text)
    if not path.is_file():
        raise NssaError(
            f"no model {text!r}: neither a file nor a built-in model; built in: {', '.join(known) or 'none'}"
        )
    metadata = read_header(path).get("__metadata__")
    if not isinstance(metadata, dict) or _KEY not in metadata:
        raise NssaError(f"{path}: a safetensors file, but no nssa-gis model package (its metadata lacks {_KEY!r})")
    return ModelPackage(path, _parse_info(path, metadata[_KEY]))


def built_in_models() -> dict[str, Path]:
    """Name to file of the packages that come with the library."""
    folder = Path(str(resources.files("nssa_gis"))) / "weights"
    return {p.stem: p for p in sorted(folder.glob("*.safetensors"))}


def save_package(path: str | os.PathLike[str], weights: Mapping[str, Tensor], info: ModelInfo) -> None:
    """Write a package atomically.

    Parameters
    ----------
    path : path
        The ``.safetensors`` file.
    weights : mapping of str to Tensor
        State of the detector; floats are stored in half precision (they are what a file of a few MB needs).
    info : ModelInfo
        Metadata.
    """
    import torch
    from safetensors.torch import save

    path = Path(path)
    stored = {
        k: v.detach().to("cpu", torch.float16 if v.is_floating_point() else v.dtype).contiguous()
        for k, v in weights.items()
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        # through bytes: save_file would make a file that only its owner can read
        partial.write_bytes(save(stored, {_KEY: json.dumps({"format": FORMAT, **asdict(info)})}))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_header(path: Path) -> dict[str, Any]:
    """Read the JSON header of a safetensors file: 8 bytes of length, then JSON.

    Raises
    ------
    NssaError
        Not a safetensors file (a pickle renamed, a truncated file).
    """
    try:
        with open(path, "rb") as handle:
            head = handle.read(8)
            size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= size <= _MAX_HEADER:
                raise ValueError("no header")
            header = json.loads(handle.read(size).decode("utf-8"))
    except OSError as error:
        raise NssaError(f"cannot read the model {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise NssaError(
            f"{path}: not a safetensors file; a model package is a .safetensors file (pickles are never loaded)"
        ) from None
    if not isinstance(header, dict):
        raise NssaError(f"{path}: not a safetensors file (its header is no JSON object)")
    return header


def _parse_info(path: Path, text: Any) -> ModelInfo:
    try:
        values = json.loads(text)
        version = values.pop("format")
        if version > FORMAT:
            raise NssaError(f"{path}: made by a newer nssa-gis (format {version}); update nssa-gis")
        names = {f.name for f in fields(ModelInfo)}
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names}
        info = ModelInfo(**known)
        _check(info)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NssaError(f"{path}: damaged metadata of the model package ({error})") from None
    return info


def _check(info: ModelInfo) -> None:
    """Raise ValueError or TypeError unless every value is of its type and makes sense."""
    for name in ("name", "version", "licence", "training_data", "created"):
        _expect(isinstance(getattr(info, name), str), name)
        getattr(info, name).encode()  # half a character would fail only when the layer is written
    for name in ("network", "metrics"):
        _expect(isinstance(getattr(info, name), dict), name)
    for name in ("classes", "bands"):
        values = getattr(info, name)
        _expect(isinstance(values, tuple) and len(values) > 0, name)
        _expect(all(isinstance(v, str) and v.encode() for v in values), name)
    for name in ("tile", "overlap"):
        _expect(type(getattr(info, name)) is int and getattr(info, name) < 1 << 20, name)
    for name in ("gsd", "max_object"):
        _expect(_number(getattr(info, name)) and getattr(info, name) > 0, name)
    for name in ("score_threshold", "nms_iou"):
        _expect(_number(getattr(info, name)) and 0 <= getattr(info, name) <= 1, name)
    low_high = info.gsd_range
    _expect(isinstance(low_high, tuple) and len(low_high) == 2 and all(map(_number, low_high)), "gsd_range")
    _expect(0 < low_high[0] <= low_high[1], "gsd_range")
    _expect(info.tile % PAD_MULTIPLE == 0, "tile")
    _expect(0 <= info.overlap < info.tile, "overlap")


def _expect(good: bool, name: str) -> None:
    if not good:
        raise ValueError(f"{name} out of range")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
