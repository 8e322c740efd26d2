import numpy as np
import pytest
import torch

from nssa_gis.model.diffusion_wavelet import DiffusionWaveletConv, binomial, diffuse, power_coefficients


@pytest.mark.parametrize(("form", "bands"), [("atrous", 1), ("atrous", 3), ("chebyshev", 3)])
@pytest.mark.parametrize("shape", [(2, 5, 24, 31), (1, 3, 3, 2)])
def test_bands_add_up_to_the_input(form, bands, shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    module = DiffusionWaveletConv(shape[1], form, bands, order=4).double()
    parts = module.decompose(x)
    assert len(parts) == bands + 1
    torch.testing.assert_close(sum(parts), x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", ["atrous", "chebyshev"])
def test_a_constant_image_is_residue_only_border_included(form):
    x = torch.full((1, 2, 9, 11), 3.0)
    *fine, low = DiffusionWaveletConv(2, form).decompose(x)
    torch.testing.assert_close(low, x, rtol=0, atol=1e-5)
    for band in fine:
        assert band.abs().max() < 1e-5


def test_learned_chebyshev_bands_stay_blind_to_a_constant():
    module = DiffusionWaveletConv(2, "chebyshev")
    with torch.no_grad():
        module.theta.add_(torch.randn_like(module.theta))
    for band in module.decompose(torch.full((1, 2, 9, 11), 3.0))[:-1]:
        assert band.abs().max() < 1e-4


def test_symbol_of_the_diffusion_operator():
    """On a torus-like cosine T multiplies by cos^2(u/2) cos^2(v/2)."""
    n, u, v = 64, 2 * np.pi * 5 / 64, 2 * np.pi * 9 / 64
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    x = torch.from_numpy(np.cos(u * i + v * j))[None, None]
    got = diffuse(x, binomial(1).double())[0, 0, 1:-1, 1:-1]
    expected = x[0, 0, 1:-1, 1:-1] * np.cos(u / 2) ** 2 * np.cos(v / 2) ** 2
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("power", "order", "error"), [(1, 1, 1e-12), (4, 4, 1e-12), (4, 3, 0.009), (8, 6, 6e-4)])
def test_power_coefficients(power, order, error):
    t = np.linspace(0, 1, 501)
    got = np.polynomial.chebyshev.chebval(2 * t - 1, power_coefficients(power, order).numpy())
    assert np.abs(got - t**power).max() < error


def test_chebyshev_bands_are_differences_of_diffusion_powers():
    torch.manual_seed(1)
    x = torch.randn(1, 2, 20, 20, dtype=torch.float64)
    kernel = binomial(2).double()
    power = [x]
    for _ in range(4):
        power.append(diffuse(power[-1], kernel))
    got = DiffusionWaveletConv(2, "chebyshev", bands=3, order=4).double().decompose(x)
    expected = [x - power[1], power[1] - power[2], power[2] - power[4], power[4]]
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_starts_as_identity_and_learns():
    torch.manual_seed(2)
    module = DiffusionWaveletConv(4).train()
    x = torch.randn(2, 4, 16, 16)
    y = module(x)
    torch.testing.assert_close(y, x)
    (y * torch.randn_like(y)).sum().backward()
    assert module.norm.weight.grad.abs().max() > 0
