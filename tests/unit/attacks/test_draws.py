import torch

from bench.attacks.draws import Draws

IDS = torch.arange(2000)
DRAWS = Draws(seed=0, attack="square", round=0)


def test_a_point_meets_the_same_numbers_in_any_company():
    together = DRAWS.bits(IDS, 3, 5)
    assert torch.equal(DRAWS.bits(IDS[7:8], 3, 5), together[7:8])
    assert torch.equal(DRAWS.bits(IDS.flip(0), 3, 5), together.flip(0))


def test_fewer_lanes_are_the_first_of_more():
    assert torch.equal(DRAWS.bits(IDS, 0, 3), DRAWS.bits(IDS, 0, 8)[:, :3])


def test_every_part_of_the_key_matters():
    first = DRAWS.bits(IDS, 0, 4)
    others = [
        Draws(1, "square", 0).bits(IDS, 0, 4),
        Draws(0, "fmn", 0).bits(IDS, 0, 4),
        Draws(0, "square", 1).bits(IDS, 0, 4),
        DRAWS.bits(IDS, 1, 4),
        DRAWS.bits(IDS + 1, 0, 4),
    ]
    assert all(not bool((first == other).any()) for other in others)


def test_no_two_of_many_draws_are_equal():
    bits = torch.cat([DRAWS.bits(IDS, step, 10).flatten() for step in range(10)])
    assert len(bits.unique()) == len(bits)


def test_uniform_numbers_fill_the_unit_interval():
    numbers = DRAWS.uniform(IDS, 0, 50)
    assert 0 <= float(numbers.min()) < float(numbers.max()) < 1
    share = torch.histc(numbers, bins=20, min=0, max=1) / numbers.numel()
    assert bool(((share - 0.05).abs() < 0.003).all())


def test_neighbouring_points_steps_and_lanes_are_not_correlated():
    numbers = DRAWS.uniform(IDS, 0, 20) - 0.5
    later = DRAWS.uniform(IDS, 1, 20) - 0.5
    for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1]), (numbers, later)):
        assert abs(float((one * other).mean()) * 12) < 0.02


def test_signs_are_fair():
    signs = DRAWS.signs(IDS, 0, 50)
    assert sorted(signs.unique().tolist()) == [-1, 1]
    assert abs(float(signs.mean())) < 0.01


def test_integers_are_uniform_below_their_bound():
    drawn = DRAWS.integers(IDS, 0, 30, 7)
    share = drawn.flatten().bincount(minlength=7) / drawn.numel()
    assert len(share) == 7
    assert bool(((share - 1 / 7).abs() < 0.005).all())


def test_normal_numbers_have_the_moments_of_the_normal_law():
    drawn = DRAWS.normal(IDS, 0, 50)
    assert bool(drawn.isfinite().all())
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    assert abs(float(drawn.pow(4).mean()) - 3) < 0.1


def test_a_permutation_holds_every_place_once_and_first_places_are_fair():
    drawn = DRAWS.permutation(IDS, 0, 6)
    assert torch.equal(drawn.sort(dim=1).values, torch.arange(6).expand(len(IDS), 6))
    share = drawn[:, 0].bincount(minlength=6) / len(IDS)
    assert bool(((share - 1 / 6).abs() < 0.04).all())
