import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.attacks import pixels

SHAPES = st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))
SEEDS = st.integers(0, 2**31)


def drawn(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(SHAPES, SEEDS, st.sampled_from([torch.contiguous_format, torch.channels_last]))
def test_assembled_images_differ_in_the_mask_alone_in_any_memory_format(shape, seed, memory):
    clean = drawn(shape, seed).to(memory_format=memory)
    mask = drawn((shape[0], *shape[2:]), seed + 1) < 0.4
    image = pixels.assemble(clean, mask, drawn(shape, seed + 2) * 3 - 1)
    assert bool(((image >= 0) & (image <= 1)).all())
    assert not bool((pixels.changed(clean, image) & ~mask).any())
    assert torch.equal(pixels.count(clean, image), pixels.changed(clean, image).flatten(1).sum(dim=1))


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.data(), SEEDS)
def test_the_top_pixels_are_the_largest_and_ties_keep_the_earlier(rows, width, data, seed):
    size = data.draw(st.integers(1, width))
    scores = (drawn((rows, width), seed) * 4).floor()
    expected = torch.zeros(rows, width, dtype=torch.bool)
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :size]
    assert torch.equal(pixels.top(scores, size), expected.scatter(1, order, value=True))


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), SEEDS)
def test_corner_codes_survive_the_way_through_colours(channels, width, seed):
    codes = torch.randint(2**channels, (3, width), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(pixels.corner_codes(pixels.corners(codes, channels)), codes)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(0, 60), st.integers(0, 4))
def test_elimination_keeps_images_broken_and_never_adds_a_pixel(seed, budget, floor):
    weight = drawn((2, 25), seed) - 0.5

    def model(images):
        return images.flatten(1) @ weight.T

    clean = drawn((6, 1, 5, 5), seed + 1)
    labels = model(clean).argmax(dim=1)
    images = torch.where(drawn((6, 1, 5, 5), seed + 2) < 0.5, drawn((6, 1, 5, 5), seed + 3), clean)
    broken = model(images).argmax(dim=1) != labels
    clean, labels, images = clean[broken], labels[broken], images[broken]
    kept = pixels.eliminate(model, clean, images, labels, floor=floor, budget=budget)
    assert bool((model(kept).argmax(dim=1) != labels).all())
    before, after = pixels.changed(clean, images), pixels.changed(clean, kept)
    assert not bool((after & ~before).any())
    assert torch.equal(torch.where(after[:, None], images, clean), kept)
    assert bool((after.flatten(1).sum(dim=1) >= torch.minimum(before.flatten(1).sum(dim=1), torch.tensor(floor))).all())
