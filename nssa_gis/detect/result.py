"""What a run did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DetectResult:
    """What a run did.

    Attributes
    ----------
    output : Path
        The layer.
    objects : int
        Objects written.
    classes : dict of str to int
        The same by class name; classes without an object are left out.
    tiles, tiles_skipped : int
        Tiles that the network saw, and tiles without a valid pixel, by this run and the one it continued.
    tiles_resumed : int
        How many of ``tiles`` an interrupted run had finished.
    megapixels : float
        Pixels of the scene, in millions.
    seconds : float
        Wall clock of this run.
    seconds_model, seconds_waiting : float
        Of these, in the network, and waiting for pixels.
    gsd : float or None
        Metres per pixel the network saw.
    model, backend : str
        Model name and version; what ran it.
    warnings : tuple of str
        Warnings that the user got.
    """

    output: Path
    objects: int
    classes: dict[str, int]
    tiles: int
    tiles_skipped: int
    tiles_resumed: int
    megapixels: float
    seconds: float
    seconds_model: float
    seconds_waiting: float
    gsd: float | None
    model: str
    backend: str
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """All attributes as JSON values, times to the millisecond."""
        values = {**asdict(self), "output": str(self.output), "warnings": list(self.warnings)}
        return {k: round(v, 3) if k.startswith(("seconds", "megapixels")) else v for k, v in values.items()}
