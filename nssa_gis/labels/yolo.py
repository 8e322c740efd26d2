"""YOLO txt: ``class x_centre y_centre width height``, all but the class as shares of the image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import NssaError
from nssa_gis.labels.folders import PARTS, Pair, is_data, paired, told_parts
from nssa_gis.labels.frames import read_header
from nssa_gis.labels.table import Entry, Table, numbers, read_lines
from nssa_gis.labels.tally import NO_IMAGE, Tally

_WANTED = "class x_centre y_centre width height"
#: Files that list one class name a line: as LabelImg, darknet and Roboflow write them.
_LISTINGS = ("classes.txt", "obj.names", "_darknet.labels")
#: Shares above this are none: boxes may reach over the edge a little.
_MOST = 1.5
#: An outline encloses not much more than its object; read so, key points would reach to the corner of the image.
_TIGHTER = 0.5
#: Key points may lie so far outside their box, in shares of the image.
_SLACK = 0.01
#: A box reaches far over the edge from this share of the image on; so many of the boxes must make sense otherwise.
_FAR, _NEARLY_ALL = 0.05, 0.95


def read_yolo(folder: Path, annotations: str | None = None, images: str | None = None) -> Table:
    """Read a YOLO folder.

    Class names come from ``names`` in ``data.yaml`` (or the only ``*.yaml``), or from ``classes.txt``: in the folder,
    among the label files, or in the folder above. An image without a label file is empty. Lines with more than five
    columns are outlines, whose extent is the box; with ``kpt_shape`` in ``data.yaml`` they are a box and key points.

    Parameters
    ----------
    folder : Path
        With ``labels/`` and ``images/``, or with images and label files side by side.
    annotations, images : str, optional
        Other names of these two, such as ``labels/val`` and ``images/val``.

    Raises
    ------
    NssaError
        No class names, a malformed line, or a class without a name.
    """
    annotations = annotations or _mirrored(folder, images, "images", "labels")
    images = images or _mirrored(folder, annotations, "labels", "images")
    labels = folder / (annotations or "labels")
    if not annotations and not labels.is_dir():
        labels = folder  # beside the images
    if not labels.is_dir():
        raise NssaError(f"{folder}: no folder {labels.name} with YOLO label files")
    names, shape = _names(folder, labels)
    tally = Tally()
    pairs, left = paired(folder if labels == folder and not images else folder / (images or "images"), labels, ".txt")
    for path in left:
        tally.drop(NO_IMAGE, str(path), _label_lines(path))
    if tally.dropped and not any(pair.labels for pair in pairs):
        raise NssaError(f"{folder}: no label file has the name of an image: {'; '.join(map(str, tally.dropped))}")
    rows = {pair.image: _rows(pair.labels, names, shape) for pair in pairs if pair.labels}
    if shape is None:
        _refuse_key_points([line for lines in rows.values() for line in lines if len(line[2]) > 5])
    _refuse_corners([line for lines in rows.values() for line in lines])
    numbered = {number: k for k, number in enumerate(names)}
    entries = [_entry(pair, rows.get(pair.image, []), numbered, shape is not None) for pair in pairs]
    parts = sorted({pair.name.split("/")[0] for pair in pairs if "/" in pair.name} & PARTS)
    notes = (f"{folder}: {told_parts(parts)}",) if len(parts) > 1 else ()
    return Table(tuple(names.values()), tuple(entries), tally.dropped, notes)


Line = tuple[Path, int, list[float]]


def _mirrored(folder: Path, place: str | None, old: str, new: str) -> str | None:
    """Give ``images/val`` for ``labels/val``, if there is such a folder."""
    parts = Path(place).parts if place else ()
    other = Path(*(new if part == old else part for part in parts))
    return str(other) if old in parts and (folder / other).is_dir() else None


def _label_lines(path: Path) -> int:
    """Count the lines of a file that look like labels: 0 for a readme or a list of classes."""
    try:
        lines = [line.split() for _, line in read_lines(path)]
        return len(lines) if all(len([float(part) for part in line]) >= 5 for line in lines) else 0
    except (NssaError, ValueError):
        return 0


def _rows(path: Path, names: Mapping[int, str], shape: tuple[int, int] | None) -> list[Line]:
    rows = []
    for number, line in read_lines(path):
        values = numbers(line.split(), path, number, _WANTED)
        _check(path, number, values, names, shape)
        rows.append((path, number, values))
    return rows


def _check(
    path: Path, number: int, values: list[float], names: Mapping[int, str], shape: tuple[int, int] | None
) -> None:
    count, place = len(values), f"{path}, line {number}"
    if count == 6:
        raise NssaError(f"{place}: six columns, one more than {_WANTED}; remove the score or the angle at its end")
    if shape and count not in (5, 5 + shape[0] * shape[1]):
        raise NssaError(
            f"{place}: {count} columns, but kpt_shape {list(shape)} in data.yaml makes {5 + shape[0] * shape[1]}"
        )
    if count != 5 and (count < 7 or count % 2 == 0):
        raise NssaError(f"{place}: not {_WANTED}")
    if values[0] not in names:
        known = ", ".join(f"{k} {name}" for k, name in list(names.items())[:20])
        raise NssaError(f"{place}: class {values[0]:g} has no name; there are: {known}")
    if shape is None and count > 5 and max(values[1:]) > _MOST:
        raise NssaError(
            f"{place}: {count} columns are an outline, in shares of the image, but one of them is {max(values[1:]):g}; "
            f"leave {_WANTED} (as shares), or state kpt_shape in data.yaml if these are key points"
        )


def _refuse_key_points(long: list[Line]) -> None:
    """Refuse lines of a box and more numbers, which would be read as an outline."""
    if not long:
        return
    inside, as_box, as_outline = 0, 0.0, 0.0
    for _, _, values in long:
        box, outline, points = _box(values[:5]), _box(values), _points_beside(values)
        inside += bool(((points >= box[:2] - _SLACK) & (points <= box[2:] + _SLACK)).all())
        as_box += float(np.prod(box[2:] - box[:2]))
        as_outline += float(np.prod(outline[2:] - outline[:2]))
    tracks = all(len(values) == 7 and values[6].is_integer() for _, _, values in long)
    if tracks or (2 * inside > len(long) and as_box < _TIGHTER * as_outline):
        path, number, values = long[0]
        raise NssaError(
            f"{path}, line {number}: {len(values)} columns look like a box and further numbers (key points, or a score "
            f"and a track number), not like an outline; state kpt_shape in data.yaml, or leave {_WANTED}"
        )


def _refuse_corners(lines: list[Line]) -> None:
    """Refuse ``x0 y0 x1 y1``: as corners all lie in the image, as centre and size some reach far over the edge."""
    short = [line for line in lines if len(line[2]) == 5]
    if not short:
        return
    first, second = np.split(np.array([values[1:] for _, _, values in short]), 2, axis=1)
    fits = ((second > first) & (first >= -_FAR) & (second <= 1 + _FAR)).all(1).mean() > _NEARLY_ALL
    over = ((first + second / 2 > 1 + _FAR) | (first - second / 2 < -_FAR)).any(1)
    if fits and over.any():
        path, number, _ = short[int(over.argmax())]
        raise NssaError(f"{path}, line {number}: looks like corners x0 y0 x1 y1, not {_WANTED}: convert the labels")


def _points_beside(values: list[float]) -> NDArray[np.float64]:
    """Key points after a box, (N, 2): of triples with their visibility 0, 1 or 2 (0 is not marked), or of pairs."""
    rest = np.array(values[5:])
    if len(rest) % 3 == 0 and np.isin(rest[2::3], (0, 1, 2)).all():
        points = rest.reshape(-1, 3)
        return points[points[:, 2] > 0, :2]
    return rest.reshape(-1, 2)


def _box(values: list[float]) -> NDArray[np.float64]:
    """``x0, y0, x1, y1`` as shares, of a box or an outline."""
    if len(values) > 5:
        points = np.array(values[1:]).reshape(-1, 2)
        return np.concatenate((points.min(0), points.max(0)))
    _, x, y, w, h = values
    return np.array([x - abs(w) / 2, y - abs(h) / 2, x + abs(w) / 2, y + abs(h) / 2])


def _entry(pair: Pair, lines: list[Line], numbered: Mapping[int, int], with_points: bool) -> Entry:
    size = read_header(pair.image).size
    shares = np.array([_box(v[:5] if with_points else v) for _, _, v in lines], np.float64).reshape(-1, 4)
    categories = np.array([numbered[int(v[0])] for _, _, v in lines], np.int64)
    return Entry(pair.image, pair.name, shares * np.array([*size, *size]), categories, scene=pair.image.stem, size=size)


def _names(folder: Path, labels: Path) -> tuple[dict[int, str], tuple[int, int] | None]:
    """Class names by number, and ``kpt_shape``."""
    listed = path = None
    for places in ((folder, labels, labels.parent), (folder.parent,)):
        listed = next((p / name for p in places for name in _LISTINGS if (p / name).is_file()), None)
        path = next((found for place in places if (found := _description(place, alone=place == folder))), None)
        if listed or path:
            break
    if listed is None and path is None:
        raise NssaError(f"{folder}: no classes.txt and no data.yaml: what do the class numbers mean?")
    told = {} if listed is None else _listing(listed)
    if path is None:
        return told, None
    content = _content(path)
    if listed is not None and "names" not in content:
        return told, _shape(path, content)
    names = _numbered(path, content)
    differing = next((number for number in told if names.get(number, told[number]) != told[number]), None)
    if differing is not None:
        raise NssaError(
            f"{path}: class {differing} is {names[differing]!r}, in {listed} it is {told[differing]!r}; remove one of "
            "the two files"
        )
    return names, _shape(path, content)


def _description(place: Path, alone: bool) -> Path | None:
    """Give ``data.yaml``; if ``alone``, also the only file of another name."""
    files = sorted(path for path in place.glob("*.y*ml") if is_data(path, place))
    return next((f for f in files if f.stem == "data"), files[0] if alone and len(files) == 1 else None)


def _listing(path: Path) -> dict[int, str]:
    """One name a line; an empty line has a number, too."""
    try:
        rows = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NssaError(f"cannot read the class names {path}: {error}") from None
    return {number: row.strip() for number, row in enumerate(rows) if row.strip()}


def _content(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise NssaError("pyyaml is not installed; pip install 'nssa-gis[train]'") from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unnamed(path, str(error).splitlines()[0]) from None
    return content if isinstance(content, dict) else {}


def _unnamed(path: Path, reason: str) -> NssaError:
    return NssaError(f"{path}: cannot read the class names ({reason}); 'names' as a list or by number is expected")


def _numbered(path: Path, content: dict[str, Any]) -> dict[int, str]:
    """Names by number: of a list from 0, of a mapping as it says."""
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise _unnamed(path, "there are no names")
    numbered = {}
    for key, name in names.items():
        try:
            number = int(str(key).strip())
        except ValueError:
            raise _unnamed(path, f"{key!r} is no class number") from None
        if name is not None:
            numbered[number] = str(name)
    return dict(sorted(numbered.items()))


def _shape(path: Path, content: dict[str, Any]) -> tuple[int, int] | None:
    """Read how many key points there are, and how many values each has."""
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(v) is int for v in shape)):
        raise NssaError(f"{path}: kpt_shape {shape!r} is not [key points, 2 or 3]")
    return shape[0], shape[1]
