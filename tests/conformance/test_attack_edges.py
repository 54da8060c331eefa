"""Every attack at the edges of its input: one table of cases, all asked of a network that takes nothing for granted."""

import pytest
import torch
from torch import nn

from bench.attacks.attack import ATTACKS
from bench.errors import ContractError
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Target
from tests.support.rounds import settings_of, threat_of

CASES = [(name, norm) for name in ATTACKS for norm in sorted(ATTACKS[name].norms)]
every_case = pytest.mark.parametrize(("name", "norm"), CASES, ids=[f"{name}-{norm}" for name, norm in CASES])
SHAPE = (3, 8, 8)


class Picky(nn.Module):
    """A real network's habits: works in place after a convolution, and cannot fold a batch of no rows."""

    def __init__(self, classes=10, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.convolution = nn.Conv2d(3, 6, 3, padding=1)
        self.linear = nn.Linear(6 * 64, classes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
        self.requires_grad_(requires_grad=False)

    def forward(self, images):
        features = nn.functional.relu_(self.convolution(images))
        return self.linear(features.reshape(len(images), -1))  # raises on no rows, as many networks do


class Trigger(Picky):
    """Takes grey images for its first class, and any other image, however near, for its second."""

    def forward(self, images):
        change = images.reshape(len(images), -1) - 0.5
        apart = (change.abs() + change / 1000).sum(dim=1)  # has a gradient where nothing changed, too
        return torch.stack([torch.full_like(apart, 1e-6), apart], dim=1)


class Tied(Picky):
    """Answers the same logit for all of ten thousand classes but the first."""

    def __init__(self):
        super().__init__(classes=1)

    def forward(self, images):
        return nn.functional.pad(super().forward(images).abs() + 1, (0, 9_999))


class Flat(Picky):
    """Answers the same logits for every image; gradients are zeros, as those of a collapsed network."""

    def forward(self, images):
        return super().forward(images) * 0 + torch.arange(10.0).flip(0)


class Broken(Picky):
    """Has no number to say of images near the one whose first half is black."""

    def forward(self, images):
        logits = super().forward(images)
        ill = (images[:, :, :4] < 0.2).flatten(1).all(dim=1) & (images[:, :, :4] > 0).flatten(1).any(dim=1)
        return torch.where(ill[:, None], torch.nan, logits)


def random_images(points, seed=1):
    return torch.rand(points, *SHAPE, generator=torch.Generator().manual_seed(seed))


def attacked(name, norm, model, images, labels=None):
    """Run a whole attack through the harness and return the pool."""
    with torch.no_grad():
        logits = model(images)
    labels = logits.argmax(dim=1) if labels is None else labels
    threat = threat_of(norm)
    pool = Pool(images, logits.argmax(dim=1) == labels, [threat])
    target = Target(model, images, labels, torch.arange(len(images)), logits)
    Cascade(target, pool, seed=0, batch=4).run(ATTACKS[name], threat, settings_of(ATTACKS[name]))
    return pool


@every_case
def test_no_point_stands(name, norm):
    model, images = Picky(), random_images(3)
    pool = attacked(name, norm, model, images, labels=(model(images).argmax(dim=1) + 1) % 10)
    assert not pool.correct.any()
    assert pool.distance[threat_of(norm).norm].tolist() == [0, 0, 0]


@every_case
def test_all_points_fall_at_the_first_changed_image(name, norm):
    pool = attacked(name, norm, Trigger(), torch.full((6, *SHAPE), 0.5))
    assert pool.distance[threat_of(norm).norm].isfinite().all()


@every_case
@pytest.mark.parametrize("classes", [2, 10])
def test_one_point_and_one_other_class(name, norm, classes):
    pool = attacked(name, norm, Picky(classes), random_images(1))
    assert pool.correct.tolist() == [True]


@every_case
def test_ten_thousand_classes_are_tied(name, norm):
    pool = attacked(name, norm, Tied(), random_images(2))
    assert pool.correct.all()


@every_case
def test_constant_logits_are_never_fooled(name, norm):
    pool = attacked(name, norm, Flat(), random_images(5))
    assert pool.standing(threat_of(norm).norm, float(threat_of(norm).epsilon)).all()


@every_case
def test_images_in_the_corners_of_the_cube(name, norm):
    pool = attacked(name, norm, Picky(), random_images(5).round())
    found = pool.witnesses(norm, pool.witnessed(norm).nonzero().flatten())
    assert ((found >= 0) & (found <= 1)).all()


@every_case
def test_logits_that_are_no_number_for_one_point_give_no_number_or_leave_the_others_alone(name, norm):
    images = random_images(4)
    images[2, :, :4] = 0
    try:
        pool = attacked(name, norm, Broken(), images)
    except ContractError:
        return
    others, healthy = [0, 1, 3], attacked(name, norm, Picky(), images)
    threat = threat_of(norm)
    assert torch.equal(pool.distance[threat.norm][others], healthy.distance[threat.norm][others])
