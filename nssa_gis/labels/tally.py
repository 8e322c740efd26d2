"""Labels that are read but cannot be used: how many, why, and the first of them."""

from __future__ import annotations

from dataclasses import dataclass

NO_IMAGE = "no image has the name of their file"
NO_AREA = "they have no width or height"
NOT_FINITE = "their coordinates are not finite numbers"
OUTSIDE = "they lie outside their image"


@dataclass(frozen=True)
class Dropped:
    """Labels that are not used for one reason.

    Attributes
    ----------
    reason : str
        Why, as the end of a sentence: ``they lie outside their image``.
    count : int
        How many.
    example : str
        Where the first of them is.
    """

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        number = "1 label is" if self.count == 1 else f"{self.count} labels are"
        return f"{number} not used: {self.reason} (first: {self.example})"


class Tally:
    """Counts labels that are not used, by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}

    def drop(self, reason: str, example: str, count: int = 1) -> None:
        """Count labels that are not used; the example of the first call of a reason is kept."""
        if count:
            self._counts[reason] = self._counts.get(reason, 0) + count
            self._examples.setdefault(reason, example)

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """What was counted, most first."""
        ordered = sorted(self._counts.items(), key=lambda item: -item[1])
        return tuple(Dropped(reason, count, self._examples[reason]) for reason, count in ordered)
