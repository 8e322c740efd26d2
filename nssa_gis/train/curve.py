"""Loss, learning rate and accuracy over the steps of trainings, as a picture or a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError, UsageError
from nssa_gis.train.log import LOG_NAME, read_log

#: What a step says, in the order of the table.
_FIELDS = ("elapsed", "loss", "classes", "boxes", "positives", "norm", "rate")
_MEASURES = ("ap50", "ap")
#: The bold loss line is the mean over this share of the steps.
_SMOOTHED = 0.02


@dataclass(frozen=True)
class Curve:
    """One run over its steps.

    Attributes
    ----------
    name : str
        Of the run.
    steps : ndarray of float64, shape (N,)
        Logged steps, ascending.
    figures : dict of str to ndarray of float64, shape (N,)
        ``elapsed, loss, classes, boxes, positives, norm, rate``; NaN where not logged.
    looks : ndarray of float64, shape (M,)
        Steps of validations, ascending.
    accuracy : dict of str to dict of str to ndarray of float64, shape (M,)
        ``ap50`` and ``ap`` per source and over ``all``; NaN where not measured.
    """

    name: str
    steps: NDArray[np.float64]
    figures: dict[str, NDArray[np.float64]]
    looks: NDArray[np.float64]
    accuracy: dict[str, dict[str, NDArray[np.float64]]]


def read_curves(runs: Sequence[Path]) -> list[Curve]:
    """Read the logs of run folders, or log files.

    Raises
    ------
    NssaError
        A log is missing, damaged or says nothing to draw.
    """
    logs = [run / LOG_NAME if run.is_dir() else run for run in runs]
    return [_curve(log, name) for log, name in zip(logs, _names(logs), strict=True)]


def write_curves(curves: Sequence[Curve], output: Path) -> None:
    """Write a picture (``.png``) or a table (``.csv``), atomically.

    Raises
    ------
    UsageError
        Another extension.
    NssaError
        A picture needs matplotlib, which is not installed; or the file cannot be written.
    """
    makers = {".png": _picture, ".csv": _table}
    if output.suffix.lower() not in makers:
        raise UsageError(f"{output}: give a name that ends in .png (a picture) or .csv (a table)")
    data = makers[output.suffix.lower()](curves)
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, output)
    except OSError as error:
        raise NssaError(f"{output}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)


def _names(logs: Sequence[Path]) -> list[str]:
    """As much of each path as tells it from the others."""
    stems = [log.resolve().parent if log.name == LOG_NAME else log.resolve().with_suffix("") for log in logs]
    for depth in range(1, max(len(stem.parts) for stem in stems) + 1):
        names = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(names)) == len(set(stems)):
            break
    return names


def _curve(log: Path, name: str) -> Curve:
    try:
        steps, looks = _events(log)
        at, seen = sorted(steps), sorted(looks)
        sources = list(dict.fromkeys(source for look in seen for source in looks[look]))
        return Curve(
            name,
            np.array(at, np.float64),
            {field: _column([steps[s] for s in at], field) for field in _FIELDS},
            np.array(seen, np.float64),
            {s: {m: _column([looks[i].get(s, {}) for i in seen], m) for m in _MEASURES} for s in sources},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NssaError(f"{log}: not a training log of this version ({error})") from None


def _events(log: Path) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """Give steps, and figures per source of validations, by number; of one that was logged twice the last counts."""
    steps, looks = {}, {}
    for event in read_log(log):
        if event["event"] == "step":
            steps[event["step"]] = event
        elif event["event"] == "validate":
            looks[event["step"]] = {k: v for k, v in event.items() if isinstance(v, dict)}
    if not steps and not looks:
        raise NssaError(f"{log}: no step and no validation is logged yet; nothing to draw")
    return steps, looks


def _column(rows: Sequence[dict[str, Any]], key: str) -> NDArray[np.float64]:
    values = (row.get(key) for row in rows)
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _table(curves: Sequence[Curve]) -> bytes:
    """One row per step that is logged or validated, one column per figure and per source's AP50 and AP."""
    sources = list(dict.fromkeys(source for curve in curves for source in curve.accuracy))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "step", *_FIELDS, *(f"{m} {s}" for s in sources for m in _MEASURES)])
    for curve in curves:
        place = {step: i for i, step in enumerate(curve.steps)}
        look = {step: i for i, step in enumerate(curve.looks)}
        for step in sorted({*place, *look}):
            values = [curve.figures[f][place[step]] if step in place else np.nan for f in _FIELDS]
            for source in sources:
                found = curve.accuracy.get(source) if step in look else None
                values += [found[m][look[step]] if found else np.nan for m in _MEASURES]
            writer.writerow([curve.name, int(step), *("" if np.isnan(v) else f"{v:.7g}" for v in values)])
    return text.getvalue().encode()


def _picture(curves: Sequence[Curve]) -> bytes:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FormatStrFormatter, LogLocator
    except ImportError:
        raise NssaError(
            "a picture needs matplotlib: pip install 'nssa-gis[plot]'; or write a table, -o NAME.csv"
        ) from None
    figure = Figure(figsize=(9, 10), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    loss, rate, accuracy = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.2, 3]})
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
        (accuracy, "validation", any(len(c.looks) for c in curves)),
    ):
        if not some:
            axes.text(0.5, 0.5, f"no {kind} is logged yet", transform=axes.transAxes, ha="center", color="gray")
    for axes in (loss, rate, accuracy):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in (loss, accuracy):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()


def _draw_steps(loss: Any, rate: Any, curve: Curve, colour: str, *, alone: bool) -> None:
    if not len(curve.steps):
        return
    loss.plot(curve.steps, curve.figures["loss"], color=colour, alpha=0.2, linewidth=0.7)
    loss.plot(*_smooth(curve.steps, curve.figures["loss"]), color=colour, label="loss" if alone else curve.name)
    if alone:
        for field, part, style in (("classes", "of classes", "--"), ("boxes", "of boxes (counts twice)", ":")):
            loss.plot(*_smooth(curve.steps, curve.figures[field]), style, color=colour, linewidth=1, label=part)
    rate.plot(curve.steps, curve.figures["rate"], color=colour)


def _draw_accuracy(axes: Any, curve: Curve, number: int, *, alone: bool) -> None:
    """AP50 as a line, AP dashed: per source for one run, over all images for several."""
    shown = [s for s in curve.accuracy if s != "all"] if alone and len(curve.accuracy) > 2 else []
    for place, source in enumerate([*shown, *(["all"] if "all" in curve.accuracy else [])]):
        black = alone and source == "all"
        colour = "black" if black else f"C{place if alone else number}"
        label = source if alone else curve.name
        for measure, style in zip(_MEASURES, ("o-", "o--"), strict=True):
            axes.plot(
                curve.looks,
                curve.accuracy[source][measure],
                style,
                color=colour,
                markersize=4 if measure == "ap50" else 2.5,
                linewidth=2 if black else 1.2,
                label=f"{label} {measure.upper()}",
            )


def _smooth(steps: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the mean over a window of neighbours; the ends, which have none, are left out."""
    width = max(1, round(len(steps) * _SMOOTHED))
    kernel = np.full(width, 1 / width)
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")
