import pytest
import torch
from torch.nn import functional as F

from nssa_gis.model.activation import ElementActivation
from nssa_gis.model.cross_layer import CrossLayerChannelAttention, fold_channels, overlap_channels


def unfold_reference(x, ratio):
    """CFPT's overlapped channel windows by unfold along the channel axis."""
    b, h = x.shape[:2]
    parts = F.pixel_unshuffle(x, ratio) if ratio > 1 else x
    r2 = ratio * ratio
    size, pad = (r2 + 1, 1) if ratio > 1 else (1, 0)
    flat = parts.flatten(2)[:, None].transpose(2, 3)  # (B, 1, N, h r^2): unfold over the last axis
    windows = F.unfold(flat.reshape(b, 1, -1, h * r2), (1, size), padding=(0, pad), stride=(1, r2))
    n = parts.shape[2] * parts.shape[3]
    return windows.reshape(b, size, n, h).permute(0, 3, 1, 2)


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_slice_form_equals_unfold(ratio):
    x = torch.randn(2, 6, 3 * ratio, 5 * ratio)
    torch.testing.assert_close(overlap_channels(x, ratio), unfold_reference(x, ratio), rtol=0, atol=2e-7)


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_fold_is_the_adjoint_of_overlap(ratio):
    """Overlap-add is the transpose of the unfold: <overlap(x), y> = <x, fold(y)>."""
    x = torch.randn(2, 6, 3 * ratio, 5 * ratio, dtype=torch.float64)
    windows = overlap_channels(x, ratio)
    y = torch.randn_like(windows)
    left, right = (windows * y).sum(), (x * fold_channels(y, ratio, *x.shape[-2:])).sum()
    torch.testing.assert_close(left, right)


@torch.no_grad()
def test_attention_equals_the_equations():
    torch.manual_seed(0)
    block = CrossLayerChannelAttention([8, 12, 16], hidden=4, heads=2)
    torch.nn.init.normal_(block.bias)
    sizes = [(16, 24), (8, 12), (4, 6)]
    z = [torch.randn(2, 12, *s) for s in sizes]
    got = block._attend(z)
    tokens = []
    for part in range(3):
        tokens.append(
            torch.cat(
                [unfold_reference(t[:, part * 4 : part * 4 + 4], r) for t, r in zip(z, (4, 2, 1), strict=True)],
                2,
            )
        )
    q, k, v = tokens
    assert q.shape[2] == 23
    # one hidden channel at a time, by the definition of cosine similarity
    mixed = torch.stack(
        [
            (F.cosine_similarity(q[:, h, :, None], k[:, h, None], dim=-1) + block.bias[h // 2]).softmax(-1) @ v[:, h]
            for h in range(4)
        ],
        1,
    )
    for y, part, ratio, size in zip(got, mixed.split([17, 5, 1], 2), (4, 2, 1), sizes, strict=True):
        torch.testing.assert_close(y, fold_channels(part, ratio, *size), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("levels", [2, 3, 4])
@pytest.mark.parametrize("activation", ["dyt", "dyisru", "derf", "layernorm"])
def test_any_number_of_levels_starts_near_identity_and_learns(levels, activation):
    torch.manual_seed(0)
    block = CrossLayerChannelAttention([16] * levels, 8, 2, activation, mlp_ratio=2)
    maps = [torch.randn(1, 16, 2**i * 2, 2**i * 3) for i in range(levels - 1, -1, -1)]
    out = block(maps)
    for a, b in zip(out, maps, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() < 0.2
    sum((o * torch.randn_like(o)).sum() for o in out).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in block.parameters())
    assert block.qkv[0].weight.grad.abs().max() > 0


def test_levels_that_do_not_double_are_refused():
    block = CrossLayerChannelAttention([8, 8], 4, 2)
    with pytest.raises(ValueError, match="double"):
        block([torch.randn(1, 8, 9, 8), torch.randn(1, 8, 4, 4)])


@torch.no_grad()
def test_activations_squash_extremes():
    x = torch.tensor([-1e4, -1.0, 0.0, 1.0, 1e4]).reshape(1, 1, 1, 5).expand(1, 2, 1, 5)
    for kind in ("dyt", "dyisru", "derf"):
        y = ElementActivation(2, kind)(x)[0, 0, 0]
        assert y[0] == pytest.approx(-1, abs=1e-3)
        assert y[-1] == pytest.approx(1, abs=1e-3)
        assert (y.diff() > 0).all()
    y = ElementActivation(2, "dyt")(x)[0, 0, 0, 3]
    assert y.item() == pytest.approx(torch.tanh(torch.tensor(0.5)).item())
