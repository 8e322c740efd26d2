import numpy as np
import pytest

from nssa_gis.raster.resample import resample_image

PIXELS = np.random.default_rng(1).integers(0, 256, (3, 90, 120)).astype(np.uint8)


def test_shrinking_takes_area_averages():
    halved = resample_image(PIXELS, 45, 40)
    expected = PIXELS.reshape(3, 45, 2, 40, 3).mean((2, 4))
    assert np.abs(halved - expected).max() <= 0.5 + 1e-4


def test_enlarging_is_bilinear_between_pixel_centres():
    ramp = np.broadcast_to(np.arange(0, 240, 8, dtype=np.uint8), (1, 4, 30))
    larger = resample_image(ramp, 4, 60)[0, 0].astype(float)
    centre = (np.arange(60) + 0.5) / 2 - 0.5
    assert larger == pytest.approx(8 * centre.clip(0, 29), abs=0.5)


@pytest.mark.parametrize("size", [(90, 120), (60, 77), (133, 150), (200, 60)])
@pytest.mark.parametrize("pixels", [PIXELS, np.ascontiguousarray(PIXELS.transpose(1, 2, 0)).transpose(2, 0, 1)])
def test_a_window_is_a_part_of_the_whole(size, pixels):
    whole = resample_image(pixels, *size)
    assert whole.shape == (3, *size) and whole.flags.c_contiguous
    part = resample_image(pixels, *size, (11, 5, 50, 58))
    np.testing.assert_array_equal(part, whole[:, 5:58, 11:50])


def test_nothing_changes_at_the_same_size_and_the_result_is_a_copy():
    same = resample_image(PIXELS, 90, 120)
    np.testing.assert_array_equal(same, PIXELS)
    assert not np.shares_memory(same, PIXELS)
