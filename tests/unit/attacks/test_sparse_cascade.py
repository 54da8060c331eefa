"""The sparse attacks together: against linear optima, against enumeration on real digits, and by their laws."""

import pytest
import torch

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access
from bench.data.zoo import digits
from bench.models.source import ModelRef, load
from tests.support.sparse_oracle import LinearProblem, enumerated
from tests.support.sparse_run import run

GRID = (1, 2, 3, 4, 5, 6)


def cascade(grid, *, corners, steps=300, queries=1000):
    return {
        "sigma-zero": {"steps": steps, "grid": grid, "eliminate": 1},
        "sparse-pgd-u": {"iterations": steps, "grid": grid},
        "sparse-pgd-p": {"iterations": steps, "grid": grid},
        "corners": {"queries": corners},
        "sparse-rs": {"queries": queries, "grid": grid, "alpha_init": 0.3},
        "sparse-rs-ce": {"queries": queries, "grid": grid[-1:], "alpha_init": 0.8},
    }


def real_digits(name, points):
    classifier = load(ModelRef.parse(f"embedded:{name}")).classifier
    given = digits.load("test", range(2 * points))
    images, labels = given.images(), given.label_tensor()
    correct = (classifier(images).argmax(dim=1) == labels).nonzero().flatten()[:points]
    return classifier, images[correct], labels[correct], correct


@pytest.mark.parametrize("points", [12, pytest.param(50, marks=pytest.mark.soak)])
@pytest.mark.parametrize(("shape", "scale", "corners"), [((1, 8, 8), 2.0, 128 + 8128), ((3, 16, 16), 0.2, 4096)])
def test_the_cascade_reaches_the_optimum_of_linear_models_and_never_falls_below(shape, scale, corners, points):
    problem = LinearProblem(points, shape, scale=scale)
    found = run(
        problem, problem.images, problem.labels, cascade(GRID, corners=corners, steps=120, queries=300)
    ).distance
    assert bool((found >= problem.needed).all())
    assert (found == problem.needed).float().mean() >= 0.98


@pytest.mark.parametrize("name", ["digits-mlp-linf", "digits-tiny-linf"])
def test_on_digits_one_and_two_pixels_equal_exhaustive_enumeration(name):
    classifier, images, labels, ids = real_digits(name, 10)
    truth = enumerated(classifier, images, labels, most=2)
    settings = cascade((1, 2, 3, 4, 6), corners=128 + 8128, steps=40, queries=40)
    found = run(classifier, images, labels, settings, ids=ids).distance
    for k in (1, 2):
        assert torch.equal(found > k, truth > k)
    assert torch.equal(found[truth <= 2], truth[truth <= 2])


@pytest.mark.parametrize("alone", ["sparse-pgd-u", pytest.param("sparse-rs", marks=pytest.mark.soak)])
def test_a_single_attack_comes_close_to_enumeration_on_digits(alone):
    classifier, images, labels, ids = real_digits("digits-cnn-natural", 12)
    exact = run(classifier, images, labels, {"corners": {"queries": 128 + 8128}}, ids=ids).distance
    settings = cascade((1, 2), corners=128, steps=200, queries=600)[alone]
    found = run(classifier, images, labels, {alone: settings}, ids=ids).distance
    for k in (1, 2):
        assert abs(int((found > k).sum()) - int((exact > k).sum())) <= 1


@pytest.mark.parametrize("batch", [1, 7])
def test_on_digits_the_batch_size_changes_no_distance(batch):
    classifier, images, labels, ids = real_digits("digits-cnn-natural", 8)
    settings = cascade((1, 2, 3), corners=128 + 60, steps=15, queries=20)
    whole = run(classifier, images, labels, settings, ids=ids)
    part = run(classifier, images, labels, settings, ids=ids, batch=batch)
    assert torch.equal(part.distance, whole.distance)


def test_on_digits_order_and_memory_format_change_no_distance():
    classifier, images, labels, ids = real_digits("digits-cnn-natural", 8)
    settings = cascade((1, 2, 3), corners=128 + 60, steps=15, queries=20)
    whole = run(classifier, images, labels, settings, ids=ids)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    last = images[order].to(memory_format=torch.channels_last)
    other = run(classifier, last, labels[order], settings, ids=ids[order])
    assert torch.equal(other.distance, whole.distance[order])


def test_adding_an_attack_never_raises_a_distance():
    problem = LinearProblem(20, (3, 8, 8), scale=2.0)
    settings = cascade((1, 2, 4, 8), corners=600, steps=12, queries=15)
    before = torch.full((20,), torch.inf)
    for length in range(1, len(settings) + 1):
        some = dict(list(settings.items())[:length])
        after = run(problem, problem.images, problem.labels, some).distance
        assert bool((after <= before).all())
        before = after


@pytest.mark.parametrize("name", [name for name, s in cascade((2,), corners=0).items() if "grid" in s])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 224, 224)])
def test_every_image_size_works(name, shape):
    classes, rows = 4, 2
    weight = torch.randn(classes, shape[0], generator=torch.Generator().manual_seed(0))

    def model(images):
        return images.amax(dim=(2, 3)) @ weight.T * 4 + images[:, :1, 0, 0] * weight[:, 0]

    images = torch.rand(rows, *shape, generator=torch.Generator().manual_seed(1)) * 0.5
    labels = model(images).argmax(dim=1)
    given = {"steps": 12, "iterations": 12, "queries": 60, "grid": (3, 70), "eliminate": 5, "alpha_init": 0.3}
    settings = {key: given[key] for key in ATTACKS[name].settings}
    found = run(model, images, labels, {name: settings})
    broken = found.distance.isfinite()
    assert torch.equal(pixels.count(images, found.images)[broken].float(), found.distance[broken])


def test_one_point_alone_meets_what_it_meets_in_company():
    problem = LinearProblem(9, (3, 8, 8), scale=2.0)
    settings = cascade((1, 2, 4), corners=600, steps=30, queries=60)
    together = run(problem, problem.images, problem.labels, settings)
    alone = run(problem, problem.images[4:5], problem.labels[4:5], settings, ids=torch.tensor([4]))
    assert torch.equal(alone.distance, together.distance[4:5])


def test_black_box_attacks_never_ask_for_a_gradient():
    problem = LinearProblem(6, (1, 8, 8))
    for name, settings in cascade((1, 2), corners=128, steps=10, queries=10).items():
        found = run(problem, problem.images, problem.labels, {name: settings})
        assert (found.backwards == 0) == (ATTACKS[name].access is Access.BLACK_BOX)


def test_no_points_are_no_trouble():
    problem = LinearProblem(3, (1, 8, 8))
    for settings in ({name: rule} for name, rule in cascade((1, 2), corners=128).items()):
        found = run(problem, problem.images, problem.labels, settings, distance=torch.zeros(3))
        assert found.forwards == 0
