"""The laws of every attack; a new file in bench/attacks/zoo is under them at once."""

from dataclasses import replace
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from bench.attacks.attack import ATTACKS, Access, Kind, Points
from bench.attacks.draws import Draws
from bench.evaluation.judge.distances import ceiling, distance
from bench.evaluation.search.meter import Meter
from bench.threats import Norm
from tests.support.linear import Constant, SmallNetwork, linear_problem
from tests.support.rounds import run, settings_of, threat_of

CASES = [(name, norm) for name in ATTACKS for norm in sorted(ATTACKS[name].norms)]
every_case = pytest.mark.parametrize(("name", "norm"), CASES, ids=[f"{name}-{norm}" for name, norm in CASES])


def network_problem(points=14, classes=10, shape=(3, 8, 8)):
    """Return a small nonlinear network, images and its own predictions."""
    model = SmallNetwork(shape, classes)
    images = torch.rand(points, *shape, generator=torch.Generator().manual_seed(1))
    return model, images, model(images).argmax(dim=1)


def points_of(model, images, labels):
    far = torch.full((len(labels),), torch.inf)
    return Points(images, labels, torch.arange(len(labels)), model(images).detach(), far)


def first_round(name, model, points, norm, *, ids=None):
    """Return the candidates of an attack's first round."""
    attack, threat = ATTACKS[name], threat_of(norm)
    turn = attack.rounds(settings_of(attack), threat, points.logits.shape[1])[0]
    return attack.propose(model, points, threat, settings_of(attack), Draws(0, name, turn.index))


@pytest.mark.parametrize("name", list(ATTACKS))
def test_says_what_it_is(name):
    attack = ATTACKS[name]
    assert attack.name == name
    assert attack.norms
    assert attack.source
    assert all(attack.settings.values())


@every_case
def test_leaves_its_inputs_the_weights_and_the_global_generator_alone(name, norm):
    model, images, labels = network_problem()
    points = points_of(model, images, labels)
    before = [field.clone() for field in (points.images, points.labels, points.ids, points.logits, points.distance)]
    state = torch.get_rng_state()
    first_round(name, model, points, norm)
    after = (points.images, points.labels, points.ids, points.logits, points.distance)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


@every_case
def test_returns_finite_images_in_the_box_that_share_no_memory_with_the_clean_ones(name, norm):
    model, images, labels = network_problem()
    candidates = first_round(name, model, points_of(model, images, labels), norm)
    assert candidates.shape == images.shape
    assert candidates.dtype == images.dtype
    assert bool(candidates.isfinite().all())
    assert 0 <= float(candidates.min()) <= float(candidates.max()) <= 1
    assert candidates.data_ptr() != images.data_ptr()


@every_case
def test_every_candidate_fools_the_model_or_is_the_clean_image(name, norm):
    model, images, labels = network_problem()
    candidates = first_round(name, model, points_of(model, images, labels), norm)
    fooled = model(candidates).argmax(dim=1) != labels
    unmoved = (candidates == images).flatten(1).all(dim=1)
    assert bool((fooled | unmoved).all())
    if ATTACKS[name].kind is Kind.FIXED_BUDGET:
        assert bool((distance(images, candidates, Norm(norm)) <= ceiling(threat_of(norm))).all())


@every_case
def test_stays_within_the_passes_it_announces(name, norm):
    model, images, labels = network_problem()
    run(name, model, images, labels, threat_of(norm))  # the meter raises where a round overruns


@pytest.mark.parametrize(("name", "norm"), [case for case in CASES if ATTACKS[case[0]].access is Access.BLACK_BOX])
def test_a_black_box_attack_never_asks_for_a_gradient(name, norm):
    model, images, labels = network_problem()
    assert run(name, model, images, labels, threat_of(norm)).backwards == 0


@every_case
def test_a_point_meets_the_same_fate_in_any_batch_order_and_memory_format(name, norm):
    model, images, labels = network_problem()
    threat = threat_of(norm)
    alone = run(name, model, images, labels, threat, batch=1).candidates
    some = run(name, model, images, labels, threat, batch=7).candidates
    together = run(name, model, images, labels, threat).candidates
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    shuffled = run(name, model, images[order], labels[order], threat, ids=order).candidates[order.argsort()]
    strided = run(name, model, images.to(memory_format=torch.channels_last), labels, threat).candidates
    for other in (some, together, shuffled, strided):
        torch.testing.assert_close(other, alone, rtol=0, atol=1e-5)


@every_case
def test_the_same_seed_gives_the_same_candidates(name, norm):
    model, images, labels = network_problem()
    first, second = (run(name, model, images, labels, threat_of(norm)).candidates for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", list(ATTACKS))
def test_can_be_sent_to_another_process(name):
    sent = ForkingPickler.loads(ForkingPickler.dumps(ATTACKS[name]))
    assert (sent.name, sent.norms, sent.looks_up_to) == (name, ATTACKS[name].norms, ATTACKS[name].looks_up_to)


@every_case
def test_looks_at_no_known_distance_but_those_it_says(name, norm):
    """What is beyond its reach may as well not be known: the journal finds proposals again by what an attack sees."""
    model, images, labels = network_problem()
    points, reach = points_of(model, images, labels), ATTACKS[name].looks_up_to
    least = 1e-3 if reach is None else reach(settings_of(ATTACKS[name])) + 1
    known = replace(points, distance=least + torch.arange(len(points.labels)).float())
    assert torch.equal(first_round(name, model, known, norm), first_round(name, model, points, norm))


@every_case
def test_one_point_is_enough(name, norm):
    model, images, labels = network_problem(points=1)
    assert len(run(name, model, images, labels, threat_of(norm)).distance) == 1


@every_case
def test_no_point_is_no_trouble(name, norm):
    model, images, labels = network_problem(points=1)
    points = points_of(model, images, labels)
    none = Points(images[:0], labels[:0], points.ids[:0], points.logits[:0], points.distance[:0])
    meter = Meter(model, points.logits.shape[1])
    assert len(first_round(name, meter, none, norm)) == 0
    assert meter.forwards == 0


@every_case
@pytest.mark.parametrize("classes", [2, 3, 4, 8])
def test_works_with_few_classes(name, norm, classes):
    model, images, labels = linear_problem(points=12, classes=classes, shape=(1, 8, 8))
    threat = threat_of(norm, {"Linf": "1/4", "L2": "2", "L0": "16"}[str(norm)])
    attack = ATTACKS[name]
    settings = settings_of(attack) | ({"grid": (1, 4, 16)} if "grid" in attack.settings else {})
    found = run(name, model, images, labels, threat, settings=settings)
    assert bool(found.distance.isfinite().any())


@every_case
def test_a_constant_classifier_is_never_fooled(name, norm):
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = run(name, Constant(), images, torch.zeros(3, dtype=torch.long), threat_of(norm))
    assert torch.equal(found.candidates, images)


@every_case
def test_images_in_the_corners_of_the_box_stay_in_the_box(name, norm):
    model = SmallNetwork()
    images = (torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    labels = model(images).argmax(dim=1)
    candidates = run(name, model, images, labels, threat_of(norm)).candidates  # verify raises on what leaves the box
    assert candidates.shape == images.shape


@every_case
def test_no_attack_goes_below_the_distance_of_a_linear_model(name, norm):
    model, images, labels = linear_problem(points=16)
    optimum = model.distance(images, labels, Norm(norm))
    found = run(name, model, images, labels, threat_of(norm))
    assert bool((found.distance >= optimum * (1 - 1e-4)).all())
