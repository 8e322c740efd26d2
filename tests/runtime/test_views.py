import numpy as np
import pytest

from nssa_gis.boxes.columns import TileDetections
from nssa_gis.runtime.views import VIEWS, AugmentedBackend, with_views


class Bright:
    """Finds the one bright rectangle of each tile; sure if its upper left corner is red."""

    description, batch_size = "bright", 7

    def __init__(self):
        self.seen = []

    def predict(self, batch, score_threshold):
        self.seen.append(batch.shape)
        assert batch.flags.c_contiguous
        rows = []
        for number, tile in enumerate(batch):
            ys, xs = np.nonzero(tile[1] > 127)
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            corner = tile[0, box[1] : box[1] + 5, box[0] : box[0] + 5]
            rows.append([*box, 0.9 if corner.max() > 127 else 0.3, number])
        table = np.array(rows, float)
        found = TileDetections.of(table[:, :4], table[:, 4], 0, table[:, 5])
        return found.take(found.scores >= score_threshold)


@pytest.fixture
def tiles():
    batch = np.zeros((2, 3, 192, 256), np.uint8)
    batch[0, 1, 10:26, 40:80] = 255
    batch[1, 1, 90:120, 5:25] = 255
    batch[:, 0] = batch[:, 1]
    return batch


TRUTH = [[40, 10, 80, 26], [5, 90, 25, 120]]


@pytest.mark.parametrize(("kind", "views"), [("flip", 4), ("rot", 4), ("scale", 3)])
def test_boxes_come_back_to_where_they_are(tiles, kind, views):
    inner = Bright()
    got = AugmentedBackend(inner, kind).predict(tiles, 0.2)
    assert len(inner.seen) == len(VIEWS[kind]) == views
    np.testing.assert_allclose(got.boxes, TRUTH, atol=1.0 if kind == "scale" else 1e-9)
    assert got.item.tolist() == [0, 1]
    assert got.scores == pytest.approx([0.9, 0.9])
    if kind == "scale":
        assert {shape[-1] for shape in inner.seen} == {192, 256, 320}, "sides stay multiples of 64"


def test_what_one_view_alone_sees_is_doubtful(tiles):
    tiles[:, 0] = 0
    tiles[0, 0, 10, 40] = tiles[1, 0, 90, 5] = 255  # the corner that only the first view has at its upper left
    got = AugmentedBackend(Bright(), "flip").predict(tiles, 0.2)
    assert got.scores == pytest.approx([(0.9 + 3 * 0.3) / 4] * 2)
    assert len(AugmentedBackend(Bright(), "flip").predict(tiles, 0.5)) == 0


def test_none_is_the_backend_itself():
    inner = Bright()
    assert with_views(inner, "none") is inner
    wrapped = with_views(inner, "rot")
    assert wrapped.description == "bright, 4 views (rot)"
    assert wrapped.batch_size == 7


def test_the_mean_does_not_depend_on_what_is_asked(tiles):
    tiles[:, 0] = 0
    tiles[0, 0, 10, 40] = tiles[1, 0, 90, 5] = 255
    mean = (0.9 + 3 * 0.3) / 4
    for asked in (0.05, 0.3, 0.44):
        assert AugmentedBackend(Bright(), "flip").predict(tiles, asked).scores == pytest.approx([mean] * 2)
