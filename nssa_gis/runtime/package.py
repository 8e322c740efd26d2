"""The one-file model package: safetensors weights, and everything else in the metadata. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from nssa_gis.errors import NssaError, first_fault
from nssa_gis.files import atomic_write
from nssa_gis.model.config import PAD_MULTIPLE

if TYPE_CHECKING:
    from torch import Tensor

#: Version of the metadata layout; a reader refuses a newer one. Keys that a reader does not know are ignored, so a new
#: key raises this number only if an older reader must not miss it.
FORMAT = 1
DEFAULT_MODEL = "aerial-vehicles"
#: Largest header that is read, bytes: the format allows 100 MB, which would take a GB of memory.
_MAX_HEADER = 4_000_000
_KEY = "nssa_gis"


def _encodable(text: str) -> str:
    """Raise an error for half a character, which would fail only when a layer is written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("should be text in UTF-8") from None
    return text


def _listed(ranges: Any) -> Any:
    single = isinstance(ranges, list | tuple) and len(ranges) == 2 and not isinstance(ranges[0], list | tuple)
    return (ranges,) if single else ranges


def _rising(ranges: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if not all(low < high for low, high in ranges):
        raise ValueError("should be pairs of a lower and a higher number")
    return ranges


_Text = Annotated[str, AfterValidator(_encodable)]
# Types of the metadata, and of a training recipe that they come from. strict=False lets a list stand for a tuple, as
# JSON and TOML have it; the values in it are strict all the same.
Name = Annotated[_Text, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
Metres = Annotated[float, Field(gt=0, lt=1e9)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Range = Annotated[tuple[float, float], Field(strict=False)]
#: Pairs of input values that become 0 and 255; a single pair is taken, too.
ValueRange = Annotated[
    tuple[_Range, ...],
    Field(min_length=1, strict=False),
    BeforeValidator(_listed),
    AfterValidator(_rising),
]


def check_ranges(ranges: ValueRange | None, bands: int) -> ValueRange | None:
    """Raise ValueError unless there is one pair, or one for each band."""
    if ranges is not None and len(ranges) not in (1, bands):
        raise ValueError(f"should be one pair, or one for each of the {bands} bands")
    return ranges


class ModelInfo(BaseModel):
    """Metadata of a model package.

    Attributes
    ----------
    name, version : str
        Identity, written to the output layer.
    network : dict
        ``DetectorConfig.to_dict()``.
    classes : tuple of str
        Class names in the order of the logits; no name twice.
    gsd : float
        Ground sample distance that scenes are resampled to, metres per pixel.
    gsd_range : tuple of float
        Lowest and highest GSD of the scenes that the model is meant for, metres per pixel.
    bands : tuple of str
        Names of the input bands in order.
    tile, overlap : int
        Default tile and overlap, pixels of the model grid; the tile is a multiple of 64, the overlap is smaller.
    score_threshold : float
        Default confidence threshold, 0 to 1.
    nms_iou : float
        IoU above which two boxes of a class in one tile are one object, 0 to 1.
    value_range : tuple of (low, high), or None
        Input values that become 0 and 255: one pair for all bands, or one for each. None: by the statistics of the
        scene. Scenes of 8 bits are not scaled. See :func:`nssa_gis.raster.radiometry.scaling_for`.
    licence, training_data : str
        Terms of use, and sources.
    metrics : dict
        Measured accuracy, as ``{split or source: {metric: value}}``.
    created : str
        ISO date.

    Raises
    ------
    pydantic.ValidationError
        A value has the wrong type, is out of range, or does not fit another one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Name
    version: _Text
    network: dict[str, Any]
    classes: Names
    gsd: Metres
    gsd_range: Annotated[tuple[Metres, Metres], Field(strict=False)]
    bands: Names = ("red", "green", "blue")
    tile: Annotated[int, Field(gt=0, lt=1 << 20, multiple_of=PAD_MULTIPLE)] = 640
    overlap: Annotated[int, Field(ge=0)] = 128
    score_threshold: _Share = 0.3
    nms_iou: _Share = 0.5
    value_range: ValueRange | None = None
    licence: _Text = "unspecified"
    training_data: _Text = ""
    metrics: dict[str, Any] = Field(default_factory=dict)
    created: _Text = ""

    @field_validator("classes")
    @classmethod
    def _unique(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("has a name twice")
        return names

    @field_validator("gsd_range")
    @classmethod
    def _ordered(cls, pair: tuple[float, float]) -> tuple[float, float]:
        if pair[0] > pair[1]:
            raise ValueError("should be the lower number, then the higher one")
        return pair

    @field_validator("overlap")
    @classmethod
    def _below_tile(cls, overlap: int, info: ValidationInfo) -> int:
        if overlap >= info.data.get("tile", overlap + 1):
            raise ValueError(f"should be less than the tile of {info.data['tile']} px")
        return overlap

    @field_validator("value_range")
    @classmethod
    def _one_or_each(cls, ranges: ValueRange | None, info: ValidationInfo) -> ValueRange | None:
        return check_ranges(ranges, len(info.data.get("bands", ranges or ())))

    @property
    def stride(self) -> int:
        """Tile origins are multiples of this many pixels, so that the network sees every object in one phase."""
        return PAD_MULTIPLE


@dataclass(frozen=True)
class ModelPackage:
    """A package on disk: its file and its metadata; :meth:`load_weights` reads the weights.

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
            digest = hashlib.sha256()
            while block := handle.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()

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
        There is no such model, it is not a safetensors file or has no nssa-gis metadata, or its format is newer.
    """
    text = os.fspath(name_or_path)
    known = built_in_models()
    path = known.get(text) or Path(text)
    if not path.is_file():
        raise NssaError(
            f"no model {text!r}: neither a file nor a built-in model; built in: {', '.join(known) or 'none'}"
        )
    metadata = read_metadata(path)
    if _KEY not in metadata:
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
        State of the network; floats are stored in half precision, so that the file is small.
    info : ModelInfo
        Metadata.
    """
    import torch
    from safetensors.torch import save

    stored = {
        k: v.detach().to("cpu", torch.float16 if v.is_floating_point() else v.dtype).contiguous()
        for k, v in weights.items()
    }
    with atomic_write(path) as partial:
        # through bytes: save_file would make a file that only its owner can read
        partial.write_bytes(save(stored, {_KEY: json.dumps({"format": FORMAT, **json.loads(info.model_dump_json())})}))


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file; no tensor is loaded.

    Raises
    ------
    NssaError
        It is not a safetensors file (a renamed pickle, for example), or it is truncated.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as handle:
            if int.from_bytes(handle.read(8), "little") > _MAX_HEADER:
                raise SafetensorError("header too large")
        with safe_open(path, framework="np") as handle:
            return handle.metadata() or {}
    except OSError as error:
        raise NssaError(f"cannot read {path}: {error.strerror or error}") from None
    except SafetensorError as error:
        reason = str(error).rpartition("header: ")[2]
        raise NssaError(
            f"{path}: not a safetensors file, or damaged ({reason}); download it again (pickles are never loaded)"
        ) from None


def _parse_info(path: Path, text: str) -> ModelInfo:
    damaged = f"{path}: damaged metadata of the model package"
    try:
        values = json.loads(text, parse_constant=_refuse)
        version = values.pop("format") if isinstance(values, dict) else None
    except (ValueError, KeyError, RecursionError) as error:
        raise NssaError(f"{damaged} ({error})") from None
    if type(version) is not int:
        raise NssaError(f"{damaged} (it states no format)")
    if version > FORMAT:
        raise NssaError(f"{path}: made by a newer nssa-gis (format {version}); update nssa-gis")
    try:
        return ModelInfo.model_validate({k: v for k, v in values.items() if k in ModelInfo.model_fields})
    except ValidationError as error:
        raise NssaError(f"{damaged} ({first_fault(error)})") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
