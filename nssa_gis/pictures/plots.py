"""Pictures of curves, drawn by matplotlib without a display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nssa_gis.errors import NssaError
from nssa_gis.files import SOFTWARE, atomic_write

if TYPE_CHECKING:
    from nssa_gis.evaluate.protocols import ProtocolScore


def figure(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches.

    Raises
    ------
    NssaError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NssaError("matplotlib is not installed; pip install 'nssa-gis[plot]'") from None
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(drawn: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises
    ------
    NssaError
        The file cannot be written.
    """
    with atomic_write(path) as partial:
        drawn.savefig(partial, format="png", dpi=120, metadata={"Software": SOFTWARE})


def draw_precision_recall(score: ProtocolScore, path: Path) -> None:
    """Draw precision over recall at IoU 0.5: a line a class, the operating point of all together."""
    drawn = figure(6.4, 4.8)
    axes = drawn.add_subplot()
    classes = [c for c in score.classes if c.truths]
    for c in classes:
        curve = score.curves[c.name]
        axes.plot(curve.recall, curve.precision, lw=1.2, label=f"{c.name}: AP50 {c.ap50:.3f}")
    if len(classes) > 1:
        every = score.curves["all"]
        axes.plot(every.recall, every.precision, "k", lw=1.8, label="all together")
    label = f"threshold {score.threshold:.2f}: P {score.precision:.2f}, R {score.recall:.2f}"
    axes.plot(score.recall, score.precision, "ko", label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(f"Precision and recall at IoU 0.5, protocol {score.protocol}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower left")
    save(drawn, path)
