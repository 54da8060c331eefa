"""Laws of masks and counts over random weights."""

from fractions import Fraction
from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pruning.allocation import apportion
from bench.pruning.blocks import blocks, eligible, two_of_four, violations
from bench.pruning.masks import keep_largest, keep_per_row, kept_wanted, zeros_wanted
from bench.pruning.packing import pack, unpack

QUICK = settings(deadline=None, max_examples=40)
SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


@st.composite
def layers(draw):
    """Return a few layers whose values repeat, so that ties are common."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=4))
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return {str(index): torch.randint(1, 6, shape, generator=source).float() for index, shape in enumerate(shapes)}


@QUICK
@given(layers(), st.fractions(0, 1))
def test_the_count_is_exact_and_nothing_dropped_outranks_anything_kept(weights, sparsity):
    keep = kept_wanted(weights, sparsity)
    masks = keep_largest(weights, weights, keep)
    kept = torch.cat([weights[name][mask] for name, mask in masks.items()])
    dropped = torch.cat([weights[name][~mask] for name, mask in masks.items()])
    assert len(kept) == keep
    assert len(dropped) == zeros_wanted(weights, sparsity)
    assert not len(kept) or not len(dropped) or kept.min() >= dropped.max()


@QUICK
@given(layers())
def test_masks_nest(weights):
    total = sum(weight.numel() for weight in weights.values())
    chain = [keep_largest(weights, weights, keep) for keep in range(total + 1)]
    for smaller, larger in pairwise(chain):
        assert all(bool((smaller[name] <= larger[name]).all()) for name in weights)


@QUICK
@given(layers(), st.data())
def test_masks_do_not_depend_on_the_memory_format(weights, data):
    strided = {}
    for name, weight in weights.items():
        order = data.draw(st.permutations(range(weight.ndim)))
        back = [order.index(axis) for axis in range(weight.ndim)]
        strided[name] = weight.permute(order).contiguous().permute(back)
    keep = data.draw(st.integers(0, sum(weight.numel() for weight in weights.values())))
    plain, other = keep_largest(weights, weights, keep), keep_largest(strided, strided, keep)
    assert all(torch.equal(plain[name], other[name]) for name in weights)


@QUICK
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 12)), min_size=1, max_size=4))
def test_allocation_is_exact_bounded_and_one_more_never_takes_one_away(pairs):
    shares, sizes = [share for share, _ in pairs], [size for _, size in pairs]
    chain = [apportion(shares, sizes, keep) for keep in range(len(sizes), sum(sizes) + 1)]
    for keep, kept in enumerate(chain, start=len(sizes)):
        assert sum(kept) == keep
        assert all(1 <= count <= size for count, size in zip(kept, sizes, strict=True))
    for fewer, more in pairwise(chain):
        assert all(small <= large for small, large in zip(fewer, more, strict=True))


@QUICK
@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.fractions(Fraction(1, 20), Fraction(19, 20)))
def test_an_equal_share_is_met_to_within_one_weight_a_layer(sizes, density):
    keep = max(len(sizes), int(density * sum(sizes)))
    kept = apportion(sizes, sizes, keep)
    real = Fraction(keep, sum(sizes))
    assert all(abs(count - size * real) <= len(sizes) for count, size in zip(kept, sizes, strict=True))


@QUICK
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**31), st.data())
def test_every_row_keeps_its_quota(rows, width, seed, data):
    weight = torch.randint(1, 4, (rows, width), generator=torch.Generator().manual_seed(seed)).float()
    quota = data.draw(st.lists(st.integers(0, width), min_size=rows, max_size=rows))
    mask = keep_per_row("w", weight, weight, quota)
    assert mask.sum(dim=1).tolist() == quota


@QUICK
@given(st.sampled_from([(8, 16), (16, 32), (8, 16, 3, 3), (24, 16, 1, 1), (8, 48, 2, 5)]), st.integers(0, 2**31))
def test_two_of_four_keeps_the_two_largest_of_every_block_of_input_channels(shape, seed):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    assert eligible(weight)
    mask = two_of_four({"w": weight}, {"w": weight.abs()})["w"]
    assert int(mask.sum()) == weight.numel() // 2
    kept = weight * mask
    assert violations(kept) == 0
    groups = weight.abs().movedim(1, -1).reshape(-1, 4)
    assert torch.equal(blocks(kept).abs().sum(dim=1), groups.topk(2, dim=1).values.sum(dim=1))


@QUICK
@given(
    st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64]),
    st.lists(st.integers(0, 4), max_size=3),
    st.integers(0, 2**31),
    st.floats(0, 1),
)
def test_packing_round_trips_bit_for_bit(kind, shape, seed, sparsity):
    source = torch.Generator().manual_seed(seed)
    value = (torch.randn(shape, generator=source) * 100).to(kind)
    value = torch.where(torch.rand(shape, generator=source) < sparsity, torch.zeros_like(value), value)
    if kind.is_floating_point and value.numel():
        value.flatten()[0] = -0.0
    back = unpack(pack({"a.mask": value, "b": value + 1}))
    assert list(back["a.mask"].shape) == shape
    assert back["a.mask"].dtype == kind
    assert value.numel() == 0 or torch.equal(
        back["a.mask"].view(-1).view(torch.uint8), value.view(-1).view(torch.uint8)
    )
    assert torch.equal(back["b"], value + 1)
