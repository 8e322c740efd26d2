"""Loss, learning rate and accuracy over the steps of training runs, as a picture or a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.files import atomic_write
from nssa_gis.pictures.plots import figure, save

#: Figures of a step, in the order of the table.
_FIELDS = ("elapsed", "loss", "classes", "boxes", "positives", "norm", "rate")
_MEASURES = ("ap50", "ap")
#: The bold loss line is the mean over this share of the steps.
_SMOOTHED = 0.02


@dataclass(frozen=True)
class Curve:
    """Figures of one run over its steps.

    Attributes
    ----------
    name : str
        Name of the run.
    steps : ndarray of float64, shape (N,)
        Logged steps, ascending.
    figures : dict of str to ndarray of float64, shape (N,)
        ``elapsed, loss, classes, boxes, positives, norm, rate``; NaN where not logged.
    validations : ndarray of float64, shape (M,)
        Steps of the validations, ascending.
    accuracy : dict of str to dict of str to ndarray of float64, shape (M,)
        ``ap50`` and ``ap`` per source and over ``all``; NaN where not measured.
    """

    name: str
    steps: NDArray[np.float64]
    figures: dict[str, NDArray[np.float64]]
    validations: NDArray[np.float64]
    accuracy: dict[str, dict[str, NDArray[np.float64]]]

    @classmethod
    def of(cls, name: str, events: Sequence[dict[str, Any]], path: Path) -> Curve:
        """Sort the events of a training log.

        Parameters
        ----------
        name : str
            Name of the run in the legend and in the table.
        events : sequence of dict
            ``step`` and ``validate`` events count. If a step was logged twice, the last event counts.
        path : Path
            The log, for error messages.

        Raises
        ------
        NssaError
            The log holds no step and no validation yet, or an event lacks its figures.
        """
        try:
            steps = {e["step"]: e for e in events if e["event"] == "step"}
            validations = {e["step"]: _sources(e) for e in events if e["event"] == "validate"}
            if not steps and not validations:
                raise NssaError(f"{path}: no step and no validation is logged yet; nothing to draw")
            at, validated = sorted(steps), sorted(validations)
            sources = list(dict.fromkeys(source for step in validated for source in validations[step]))
            return cls(
                name,
                np.array(at, np.float64),
                {field: _column([steps[s] for s in at], field) for field in _FIELDS},
                np.array(validated, np.float64),
                {
                    source: {m: _column([validations[s].get(source, {}) for s in validated], m) for m in _MEASURES}
                    for source in sources
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NssaError(f"{path}: not a training log of this version ({error})") from None


def write_curves(curves: Sequence[Curve], output: Path) -> None:
    """Write a picture (``.png``) or a table (``.csv``), atomically.

    Raises
    ------
    UsageError
        The file name has another extension.
    NssaError
        A picture needs matplotlib, which is not installed; or the file cannot be written.
    """
    match output.suffix.lower():
        case ".png":
            save(_picture(curves), output)
        case ".csv":
            with atomic_write(output) as partial:
                partial.write_bytes(_table(curves).encode())
        case _:
            raise UsageError(f"{output}: give a name that ends in .png (a picture) or .csv (a table)")


def _sources(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: found for name, found in event.items() if isinstance(found, dict)}


def _column(rows: Sequence[dict[str, Any]], key: str) -> NDArray[np.float64]:
    values = (row.get(key) for row in rows)
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _table(curves: Sequence[Curve]) -> str:
    """One row for each logged step or validation, one column for each figure and for AP50 and AP of each source."""
    sources = list(dict.fromkeys(source for curve in curves for source in curve.accuracy))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "step", *_FIELDS, *(f"{m} {s}" for s in sources for m in _MEASURES)])
    for curve in curves:
        place = {step: i for i, step in enumerate(curve.steps)}
        validated = {step: i for i, step in enumerate(curve.validations)}
        for step in sorted({*place, *validated}):
            values = [curve.figures[f][place[step]] if step in place else np.nan for f in _FIELDS]
            for source in sources:
                found = curve.accuracy.get(source) if step in validated else None
                values += [found[m][validated[step]] if found else np.nan for m in _MEASURES]
            writer.writerow([curve.name, int(step), *("" if np.isnan(v) else f"{v:.7g}" for v in values)])
    return text.getvalue()


def _picture(curves: Sequence[Curve]) -> Any:
    try:
        drawn = figure(9, 10)
    except NssaError as error:
        raise NssaError(f"{error}; or write a table, -o NAME.csv") from None
    from matplotlib.ticker import FormatStrFormatter, LogLocator

    loss, rate, accuracy = drawn.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.2, 3]})
    for number, curve in enumerate(curves):
        _draw_steps(loss, rate, curve, f"C{number}", alone=len(curves) == 1)
    for number, curve in enumerate(curves):
        _draw_accuracy(accuracy, curve, number, alone=len(curves) == 1)
    loss.set(title=curves[0].name if len(curves) == 1 else "", ylabel="loss (log scale)", yscale="log")
    rate.set(ylabel="learning rate", ylim=(0, None))
    accuracy.set(xlabel="step", ylabel="accuracy, held-out images", ylim=(0, 1))
    for which in (loss.yaxis.set_major_formatter, loss.yaxis.set_minor_formatter):
        which(FormatStrFormatter("%g"))
    loss.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5, 7)))
    for axes, kind, some in (
        (loss, "step", any(len(c.steps) for c in curves)),
        (accuracy, "validation", any(len(c.validations) for c in curves)),
    ):
        if not some:
            axes.text(0.5, 0.5, f"no {kind} is logged yet", transform=axes.transAxes, ha="center", color="gray")
    for axes in (loss, rate, accuracy):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (loss, accuracy):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def _draw_steps(loss: Any, rate: Any, curve: Curve, colour: str, *, alone: bool) -> None:
    if not len(curve.steps):
        return
    loss.plot(curve.steps, curve.figures["loss"], color=colour, alpha=0.2, linewidth=0.7)
    loss.plot(*_smooth(curve.steps, curve.figures["loss"]), color=colour, label="loss" if alone else curve.name)
    if alone:
        for field, part, style in (("classes", "class loss", "--"), ("boxes", "box loss (weight 2)", ":")):
            loss.plot(*_smooth(curve.steps, curve.figures[field]), style, color=colour, linewidth=1, label=part)
    rate.plot(curve.steps, curve.figures["rate"], color=colour)


def _draw_accuracy(axes: Any, curve: Curve, number: int, *, alone: bool) -> None:
    """Draw AP50 as a line and AP dashed: for each source of one run, over all images of several runs."""
    shown = [s for s in curve.accuracy if s != "all"] if alone and len(curve.accuracy) > 2 else []
    for place, source in enumerate([*shown, *(["all"] if "all" in curve.accuracy else [])]):
        black = alone and source == "all"
        colour = "black" if black else f"C{place if alone else number}"
        label = source if alone else curve.name
        for measure, style in zip(_MEASURES, ("o-", "o--"), strict=True):
            axes.plot(
                curve.validations,
                curve.accuracy[source][measure],
                style,
                color=colour,
                markersize=4 if measure == "ap50" else 2.5,
                linewidth=2 if black else 1.2,
                label=f"{label} {measure.upper()}",
            )


def _smooth(steps: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over a window of neighbours, without the ends."""
    width = max(1, round(len(steps) * _SMOOTHED))
    kernel = np.full(width, 1 / width)
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")
