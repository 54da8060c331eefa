"""Noise is found wherever it hides, and honest slopes are none."""

from dataclasses import replace

import pytest
import torch

from bench.data.dataset import DATASETS
from bench.evaluation.checks.check import CHECKS
from bench.evaluation.search.meter import Meter
from bench.submission.schema import Level
from tests.support.cheats import Fresh, Hashed, Wary
from tests.support.defects import After
from tests.support.hard import Shattered
from tests.support.suspects import Suspect, embedded, evidence_of, protocol

EMBEDDED = ("digits-cnn-natural", "digits-resnet-natural", "digits-tiny-linf")


def asked(network):
    return CHECKS["continuity"].examine(evidence_of(Suspect(network)), protocol().checks["continuity"])


@pytest.mark.parametrize("noisy", [Fresh, Hashed, Wary])
def test_noise_on_the_logits_is_refused(noisy):
    (flag,) = asked(noisy(embedded("digits-tiny-linf")))
    assert flag.level is Level.WITHHOLD
    assert flag.figure > 0.9


def test_noise_that_begins_far_from_clean_images_is_found_on_noisy_ones():
    clean = DATASETS["digits"].load("test", range(30)).images().flatten(1)

    class Distant(Hashed):
        def noise(self, images):
            far = (images.flatten(1)[:, None] - clean).abs().amax(dim=2).amin(dim=1) > 0.05
            return super().noise(images) * far[:, None]

    (flag,) = asked(Distant(embedded("digits-tiny-linf")))
    assert flag.level is Level.WITHHOLD
    assert "of noisy images" in flag.says


def test_ripples_that_turn_the_gradient_at_random_are_found():
    (flag,) = asked(Shattered(embedded("digits-cnn-natural"), height=0.2))
    assert flag.level is Level.WITHHOLD


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("change", [lambda z: z, lambda z: 1e-8 * z, lambda z: 1e8 * z, lambda z: z + 1000])
def test_honest_networks_raise_no_doubt_in_any_unit_of_the_logits(name, change):
    assert asked(After(embedded(name), change)) == []


def test_the_figure_is_the_share_of_images_that_jump():
    """Half of the images jump, by 0.2 of the distance of the first two classes, and the bar is 0.1."""

    class Half(torch.nn.Module):
        def forward(self, images):
            moved = (images.flatten(1) != clean.flatten(1)).any(dim=1)
            jump = (moved & (torch.arange(len(images)) % 2 == 0)).float()
            return torch.stack([torch.ones(len(images)), 0.4 * jump], dim=1)

    points = DATASETS["digits"].load("test", range(32))
    clean, network = points.images(), Half()
    evidence = replace(
        evidence_of(Suspect(embedded("digits-tiny-linf"))), network=network, model=Meter(network, 2),
        images=clean, labels=points.label_tensor(), ids=points.id_tensor(), logits=network(clean),
    )  # fmt: skip
    (flag,) = CHECKS["continuity"].examine(evidence, protocol().checks["continuity"])
    assert flag.figure == 0.5
