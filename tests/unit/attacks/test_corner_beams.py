"""The two corner attacks: by queries alone, and led by the gradient too."""

import pytest
import torch

from bench.attacks import beam
from bench.attacks.attack import ATTACKS, Passes, Points
from bench.errors import ContractError
from tests.support.material import real
from tests.support.sparse_oracle import LinearProblem, enumerated
from tests.support.sparse_run import THREAT, run

SEARCH = {"corner-search": {"pixels": 6, "first": 64, "others": 448, "beams": 8, "branch": 16}}
BEAM = {"corner-beam": {"pixels": 6, "first": 512, "beams": 8, "branch": 16}}
every_attack = pytest.mark.parametrize("attack", [SEARCH, BEAM], ids=["search", "beam"])


def flat(x):
    return torch.tensor([[1.0, 0.0]]).expand(len(x), -1) + 0 * x.flatten(1).sum(dim=1, keepdim=True)


@every_attack
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)])
def test_one_pixel_is_exact_where_the_passes_reach_for_every_corner(attack, shape):
    problem = LinearProblem(60, shape)
    found = run(problem, problem.images, problem.labels, attack)
    assert torch.equal(found.distance == 1, problem.needed == 1)
    assert torch.equal(found.distance == 1, enumerated(problem, problem.images, problem.labels, most=1) == 1)
    assert 0 < int((found.distance == 1).sum()) < 60


@every_attack
@pytest.mark.parametrize("classes", [2, 10])
def test_more_pixels_are_the_fewest_of_a_linear_network(attack, classes):
    problem = LinearProblem(80, (3, 8, 8), classes, scale=2.0 if classes == 10 else 0.2)
    found = run(problem, problem.images, problem.labels, attack).distance
    fewest = torch.where(problem.needed <= 6, problem.needed, torch.inf)
    assert {1.0, 2.0, 3.0, 4.0} <= set(fewest.tolist())
    assert bool((found >= fewest).all())
    assert (found == fewest).sum() >= (80 if classes == 2 else 72)  # the class in reach may change on the way


@every_attack
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 2, 2)])
def test_a_standing_point_never_costs_more_than_its_round_allows(attack, shape):
    images = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    found = run(flat, images, torch.zeros(3, dtype=torch.int64), attack)
    assert torch.equal(found.images, images)
    ((name, settings),) = attack.items()
    (turn,) = ATTACKS[name].rounds(settings, THREAT, 2)
    assert turn.radius == 1.0
    if shape == (3, 8, 8):
        assert (
            turn.passes
            == {
                "corner-search": Passes(64 + 448 + 5 * 8 * 16, 0),
                "corner-beam": Passes(1 + 512 + 5 * 8 * 17, 1 + 5 * 8),
            }[name]
        )
        assert (found.forwards, found.backwards) == (3 * turn.passes.forwards, 3 * turn.passes.backwards)


@every_attack
def test_no_image_is_asked_about_twice_for_one_size_unless_beams_meet(attack):
    asked = []

    def remembering(x):
        asked.append(x.detach().clone())
        return flat(x)

    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    run(remembering, images, torch.zeros(1, dtype=torch.int64), attack)
    changed = (torch.cat(asked) != images).any(dim=1).flatten(1).sum(dim=1)
    assert set(changed.tolist()) == {0, 1, 2, 3, 4, 5, 6}
    singles = torch.cat(asked)[changed == 1]
    assert len({tuple(image.flatten().tolist()) for image in singles[:512]}) == 512


@every_attack
def test_images_do_not_hang_on_the_batch_or_on_the_order(attack):
    problem = LinearProblem(12, (3, 8, 8), scale=3.0)
    whole = run(problem, problem.images, problem.labels, attack)
    assert bool(whole.distance.isfinite().any())
    for batch in (1, 7):
        assert torch.equal(run(problem, problem.images, problem.labels, attack, batch=batch).images, whole.images)
    order = torch.arange(11, -1, -1)
    last = problem.images[order].to(memory_format=torch.channels_last)
    assert torch.equal(run(problem, last, problem.labels[order], attack, ids=order).images, whole.images[order])


@every_attack
def test_nothing_is_spent_on_as_many_pixels_as_are_known_to_do(attack):
    problem = LinearProblem(20, (3, 8, 8), scale=3.0)
    three = problem.needed == 3
    images, labels = problem.images[three], problem.labels[three]
    assert len(images) > 0
    known = torch.full((len(images),), 3.0)
    spent = run(problem, images, labels, attack, distance=known)
    free = run(problem, images, labels, attack)
    assert bool((free.distance == 3).all())
    assert torch.equal(spent.distance, known)
    assert spent.forwards < free.forwards
    ((name, settings),) = attack.items()
    looks = ATTACKS[name].looks_up_to
    assert looks is not None
    assert looks(settings) == 6.0


@every_attack
def test_nan_logits_give_no_number(attack):
    def broken(x):
        return torch.full((len(x), 2), torch.nan) + 0 * x.flatten(1)[:, :2]

    with pytest.raises(ContractError, match="NaN"):
        run(broken, torch.zeros(1, 1, 2, 2), torch.zeros(1, dtype=torch.int64), attack)


def test_large_images_are_asked_about_some_of_their_pixels_that_is_said_and_the_draw_belongs_to_the_point():
    settings = {"pixels": 1, "first": 64, "others": 7, "beams": 4, "branch": 4}
    limit = ATTACKS["corner-search"].limit(settings, (3, 16, 16))
    assert limit is not None
    assert limit.says == "corner-search asks about 64 of the 256 pixels of an image"
    assert not limit.fatal
    assert ATTACKS["corner-search"].limit(settings, (3, 8, 8)) is None
    places = []

    def watching(x):
        places.append((x != 0.25).any(dim=1).flatten(1).nonzero()[:, 1])
        return flat(x)

    images, labels = torch.full((2, 3, 16, 16), 0.25), torch.zeros(2, dtype=torch.int64)
    run(watching, images, labels, {"corner-search": settings}, ids=torch.tensor([5, 9]), batch=1)
    first, second = (set(part.tolist()) for part in torch.cat(places).split(71))
    assert len(first) == len(second) == 64
    assert first != second
    places.clear()
    run(watching, images, labels, {"corner-search": settings}, ids=torch.tensor([9, 5]), batch=1)
    assert [set(part.tolist()) for part in torch.cat(places).split(71)] == [second, first]


def test_queries_find_what_a_network_without_gradients_hides():
    problem = LinearProblem(40, (3, 8, 8), scale=2.0)

    def hidden(x):
        return problem(x.detach()) + 0 * x.flatten(1).sum(dim=1, keepdim=True)

    open_, shut = (run(network, problem.images, problem.labels, SEARCH).distance for network in (problem, hidden))
    assert torch.equal(open_, shut)
    led = run(hidden, problem.images, problem.labels, BEAM).distance
    assert (led <= 6).sum() > 0.5 * (open_ <= 6).sum()


def test_beams_never_hold_one_set_of_pixels_twice():
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 40, generator=generator)
    points = Points(clean.view(2, 3, 5, 8), torch.zeros(2, dtype=torch.int64), torch.arange(2), torch.zeros(2, 2),
                    torch.full((2,), torch.inf))  # fmt: skip
    seen = []

    def noise(x):
        return torch.stack([torch.rand(len(x), generator=generator) + 1, torch.zeros(len(x))], dim=1)

    def lead(beams):
        seen.append(beams)
        return beam.by_alone(beams, 8)

    search = beam.Search(noise, points)
    for part in search.parts(6):
        every = torch.arange(40).expand(len(part.rows), -1)[:, None]
        search.climb(search.alone(part, beam.Moves(every, part.corners[:, None])), 5, 6, lead)
    assert len(seen) == 4
    for size, beams in enumerate(seen, start=1):
        assert beams.painted.shape == (2, 6, 40)
        assert bool((beams.painted.sum(dim=2) == size).all())
        for point in range(2):
            assert len({tuple(row.nonzero().flatten().tolist()) for row in beams.painted[point]}) == 6
            assert torch.equal((beams.images[point] != clean[point]).any(dim=1), beams.painted[point])


def test_point_11_falls_at_five_pixels(material):
    model, images, labels = real(material, "cnn_a_adv4", 12)
    settings = {"pixels": 5, "first": 1024, "beams": 16, "branch": 16}
    found = run(model, images[11:], labels[11:], {"corner-beam": settings}, ids=torch.tensor([11]))
    assert found.distance.tolist() == [5.0]
    assert found.forwards < 30_000
