import pytest
import torch

from nssa_gis.model.nssa import NonSemanticSparseAttention


def opened(channels=32, **kw):
    """A block with its gates wide open and everything random, so that every term shows."""
    torch.manual_seed(0)
    block = NonSemanticSparseAttention(channels, **kw)
    with torch.no_grad():
        for p in block.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
        block.exchange.weight.zero_()
    return block.eval()


def reference(block, x, groups):
    """The equations, one group of (row, column) positions at a time."""
    channels, heads = x.shape[1], block.heads
    d = channels // heads
    qkv = block.qkv(x)[0]
    mixed = torch.zeros(channels, *x.shape[-2:])
    for rows, cols, slots in groups:
        q, k, v = qkv[:, rows, cols].reshape(3, heads, d, -1).transpose(-1, -2)
        logits = q @ k.transpose(-1, -2) / d**0.5
        if block.partition == "local":
            logits = logits + block.bias[:, block.bias_index[slots][:, slots]]
        out = logits.softmax(-1) @ v
        mixed[:, rows, cols] = out.transpose(-1, -2).reshape(channels, -1)
    gate = torch.sigmoid(block.gate(x.mean((2, 3), keepdim=True)))
    return x + block.scale * gate * block.out(mixed[None])


def local_groups(height, width, s):
    for top in range(0, height, s):
        for left in range(0, width, s):
            rows, cols = torch.meshgrid(
                torch.arange(top, min(top + s, height)),
                torch.arange(left, min(left + s, width)),
                indexing="ij",
            )
            yield rows.flatten(), cols.flatten(), ((rows - top) * s + cols - left).flatten()


def dilated_groups(height, width, s):
    for a in range(s):
        for b in range(s):
            rows, cols = torch.meshgrid(torch.arange(a, height, s), torch.arange(b, width, s), indexing="ij")
            yield rows.flatten(), cols.flatten(), None


@pytest.mark.parametrize("size", [(16, 16), (13, 21), (5, 3), (8, 9)])
@torch.no_grad()
def test_local_equals_the_equations_without_any_padding(size):
    block = opened(window=8)
    x = torch.randn(1, 32, *size)
    expected = reference(block, x, local_groups(*size, 8))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 12), (9, 7)])
@torch.no_grad()
def test_dilated_equals_the_equations(size):
    block = opened(partition="dilated", window=2)
    x = torch.randn(1, 32, *size)
    torch.testing.assert_close(block(x), reference(block, x, dilated_groups(*size, 2)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_local_windows_do_not_see_one_another():
    block = opened(window=8)
    with torch.no_grad():
        block.gate.weight.zero_()  # the gate pools the whole map; the attention must not
    x = torch.randn(1, 32, 16, 16)
    y = x.clone()
    y[..., 8:, 8:] += 1
    torch.testing.assert_close(block(x)[..., :8, :8], block(y)[..., :8, :8])


@torch.no_grad()
def test_bfloat16_with_padding_is_finite():
    block = opened(window=8).bfloat16()
    assert torch.isfinite(block(torch.randn(1, 32, 9, 9).bfloat16()).float()).all()


def test_starts_near_identity_and_every_parameter_learns():
    torch.manual_seed(1)
    block = NonSemanticSparseAttention(32)
    x = torch.randn(2, 32, 16, 16)
    y = block(x)
    assert (y - x).abs().max() < 0.05
    (y * torch.randn_like(y)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in block.parameters())


def test_bad_arguments():
    with pytest.raises(ValueError, match="partition"):
        NonSemanticSparseAttention(32, partition="global")
    with pytest.raises(ValueError, match="head_dim"):
        NonSemanticSparseAttention(30)
