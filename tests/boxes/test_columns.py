"""The three types of detections: what they hold and what they refuse."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from nssa_gis.boxes.columns import GridDetections, SceneDetections, TileDetections

TYPES = {
    SceneDetections: ["boxes", "scores", "labels"],
    TileDetections: ["boxes", "scores", "labels", "item"],
    GridDetections: ["boxes", "scores", "labels", "tile", "cut"],
}
DTYPES = {"boxes": "f8", "scores": "f4", "labels": "i2", "item": "i8", "tile": "i8", "cut": "u1"}


def of(kind, count=3):
    boxes = np.arange(4.0 * count).reshape(count, 4)
    return kind.of(boxes, *(np.arange(count) + k for k in range(len(TYPES[kind]) - 1)))


@pytest.fixture(params=TYPES, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def test_columns_and_their_types(kind):
    found = of(kind)
    assert kind.names() == TYPES[kind]
    for rows in (found, kind.empty()):
        assert {name: getattr(rows, name).dtype.str[1:] for name in rows.names()} == {n: DTYPES[n] for n in TYPES[kind]}
    assert (len(found), len(kind.empty())) == (3, 0)
    for k, name in enumerate(TYPES[kind][1:]):
        assert getattr(found, name).tolist() == [k, k + 1, k + 2]


def test_scalars_are_repeated_and_lists_taken(kind):
    found = kind.of([[0, 1, 2, 3], [4, 5, 6, 7]], *[1] * (len(TYPES[kind]) - 1))
    assert all(getattr(found, name).tolist() == [1, 1] for name in TYPES[kind][1:])
    assert len(kind.of([], *[[]] * (len(TYPES[kind]) - 1))) == 0
    with pytest.raises(ValueError, match="zip"):
        kind.of([[0, 1, 2, 3]])


def test_columns_of_other_lengths_are_refused(kind):
    found = of(kind)
    for name in TYPES[kind][1:]:
        for wrong in (getattr(found, name)[:2], getattr(found, name)[:, None]):
            with pytest.raises(ValueError, match=rf"{name} must be \(3,\)"):
                found.replace(**{name: wrong})
    with pytest.raises(ValueError, match=r"boxes must be \(N, 4\), not \(3, 3\)"):
        found.replace(boxes=found.boxes[:, :3])


def test_rows_stay_together(kind):
    found = of(kind)
    for index in (np.array([2, 0]), np.array([True, False, True]), slice(1, None)):
        taken = found.take(index)
        assert type(taken) is kind
        for name in found.names():
            np.testing.assert_array_equal(getattr(taken, name), getattr(found, name)[index])
    both = kind.concat([found.take(slice(2, None)), found])
    for name in found.names():
        np.testing.assert_array_equal(getattr(both, name), getattr(found, name)[[2, 0, 1, 2]])
    assert len(kind.concat([])) == 0 and type(kind.concat([])) is kind


def test_detections_do_not_change(kind):
    with pytest.raises(FrozenInstanceError):
        of(kind).scores = np.zeros(3)
