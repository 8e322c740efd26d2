"""Results as text for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nssa_gis.files import masked, printable

if TYPE_CHECKING:
    from nssa_gis.evaluate.protocols import ProtocolScore
    from nssa_gis.scenes.batch import BatchResult


def objects_text(objects: int, classes: dict[str, int]) -> str:
    """``312 objects (car 300, truck 12)``."""
    parts = ", ".join(f"{name} {n}" for name, n in sorted(classes.items(), key=lambda item: -item[1]))
    return f"{objects} object{'' if objects == 1 else 's'}" + (f" ({parts})" if parts else "")


def batch_table(result: BatchResult) -> str:
    """One line a scene and a last one for all, without passwords."""
    rows = [("scene", "status", "objects", "seconds", "")]
    for outcome in result.outcomes:
        objects = "" if outcome.objects is None else str(outcome.objects)
        note = outcome.message or str(outcome.output)
        rows.append((printable(Path(outcome.scene).name), outcome.status, objects, f"{outcome.seconds:.1f}", note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, status, objects, seconds, note in rows:
        cells = (name.ljust(widths[0]), status.ljust(widths[1]), objects.rjust(widths[2]), seconds.rjust(widths[3]))
        lines.append("  ".join((*cells, note)).rstrip())
    good = sum(outcome.status in ("done", "present") for outcome in result.outcomes)
    total = sum(outcome.objects or 0 for outcome in result.outcomes)
    lines.append(f"{good} of {len(result.outcomes)} scenes, {total} objects")
    return masked("\n".join(lines))


def protocol_table(score: ProtocolScore) -> str:
    """Figures of one protocol, in per cent."""

    def cell(value: float) -> str:
        return "    -" if value != value else f"{100 * value:5.1f}"

    rows = [f"\nprotocol {score.protocol}, {score.truths} objects"]
    rows.append(
        "  " + "  ".join(f"{n} {cell(v)}" for n, v in (("AP", score.ap), ("AP50", score.ap50), ("AP75", score.ap75)))
    )
    if score.areas:
        rows.append("  " + "  ".join(f"AP {area} {cell(value)}" for area, value in score.areas.items()))
    rows.append("  " + "  ".join(f"AR{limit} {cell(value)}" for limit, value in score.recalls.items()))
    width = max(len("all together"), *(len(c.name) for c in score.classes))
    rows.append(f"  {'class'.ljust(width)}  objects     AP   AP50      P      R     F1  threshold")
    for c in score.classes:
        figures = "  ".join(map(cell, (c.ap, c.ap50, c.precision, c.recall, c.f1)))
        rows.append(f"  {c.name.ljust(width)}  {c.truths:7d}  {figures}       {c.threshold:.2f}")
    if len(score.classes) > 1:
        figures = "  ".join(map(cell, (score.ap, score.ap50, score.precision, score.recall, score.f1)))
        rows.append(f"  {'all together'.ljust(width)}  {score.truths:7d}  {figures}       {score.threshold:.2f}")
    return "\n".join(rows)


def cost_table(facts: dict[str, Any]) -> str:
    """Table of a network's parts, from :func:`nssa_gis.detect.description.describe_network`."""
    side = facts["input_size"]
    rows = [f"{facts['network']}, 1 class, counted on an image of {side} x {side} px"]
    rows.append(f"  {'part':32s}  {'stride':>6s}  {'parameters':>10s}  {'GMAC':>8s}")
    for part in [*facts["parts"], facts["total"]]:
        rows.append(f"  {part['part']:32s}  {part['stride']:>6s}  {part['parameters']:10,d}  {part['gmacs']:8.3f}")
    return "\n".join(rows)


def lines(facts: dict[str, Any]) -> str:
    """One line a fact, aligned; what has parts gets a line a part below it, indented."""
    width = max(map(len, facts), default=0)
    rows = []
    for name, value in facts.items():
        parts = isinstance(value, dict) and bool(value)
        rows.append(f"  {name.ljust(width)}  {'' if parts else _text(value)}".rstrip())
        if parts:
            rows.append("\n".join("  " + row for row in lines(value).splitlines()))
    return "\n".join(rows)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{k} {_text(v)}" for k, v in value.items()) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
