"""Results as text for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nssa_gis.files import masked, printable

if TYPE_CHECKING:
    from nssa_gis.scenes.batch import BatchResult
    from nssa_gis.train.training import TrainResult


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
    outside = sum(outcome.status == "outside" for outcome in result.outcomes)
    beside = f"{outside} outside the area, " if outside else ""
    lines.append(f"{good} of {len(result.outcomes)} scenes, {beside}{total} objects")
    return masked("\n".join(lines))


def training_text(result: TrainResult) -> str:
    """Tell what was written, and the accuracy per source."""
    info = result.info
    rows = [f"wrote {result.output}: {info.name} {info.version}, default confidence {info.score_threshold:g}"]
    for name, accuracy in result.accuracy.items():
        rows.append(
            f"  {name:20s} AP50 {accuracy.ap50:.3f}  AP {accuracy.ap:.3f}  F1 {accuracy.f1:.3f} "
            f"at {accuracy.threshold:.2f}  ({accuracy.truths} objects)"
        )
    return "\n".join(rows)


def data_text(event: dict[str, Any]) -> str:
    """Tell how many images and labels are used, from the event ``data`` of a training or an evaluation."""
    parts = [(f"{split}: ", event[split]) for split in ("train", "val") if split in event] or [("", event)]
    told = [f"{name}{n['images']} images, {n['boxes']} boxes, {n['ignored']} ignored regions" for name, n in parts]
    told.append(f"{event['dropped']} dropped labels")
    if event["unused"]:
        names = ", ".join(f"{name} {number}" for name, number in event["unused"].items())
        told.append(f"{sum(event['unused'].values())} boxes of other categories ({names})")
    return "; ".join(told)


def training_event_text(event: dict[str, Any]) -> str:
    """One line for an event of a training."""
    if event["event"] == "step":
        return (
            f"step {event['step']:6d}  {event['elapsed']:7.0f} s  loss {event['loss']:.3f} "
            f"(class {event['classes']:.3f}, box {event['boxes']:.3f})"
        )
    if event["event"] == "data":
        return data_text(event)
    if event["event"] == "init":
        new = event.get("new_heads")
        heads = f"; new heads at strides {', '.join(map(str, new))}" if new else ""
        return f"starting from {event['model']}; new classes: {', '.join(event['new_classes']) or 'none'}{heads}"
    ap50 = event.get("all", {}).get("ap50")
    return f"validation at step {event['step']}: AP50 {'not known' if ap50 is None else f'{ap50:.3f}'}"


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
