"""FMN against foolbox's, on the same networks and images with as many steps."""

import os

import pytest
import torch

from bench.evaluation.distances import distance
from bench.threats import Norm, ThreatModel
from tests.support.material import NETWORKS, real
from tests.support.rounds import run

pytestmark = [pytest.mark.peer, pytest.mark.material]
POINTS = int(os.environ.get("PEER_POINTS", "200"))
STEPS = 100
PEERS = {Norm.LINF: "LInfFMNAttack", Norm.L2: "L2FMNAttack"}


@pytest.mark.parametrize("norm", list(PEERS))
@pytest.mark.parametrize("name", list(NETWORKS))
def test_our_median_distance_is_at_most_two_percent_larger(material, name, norm, capsys):
    import foolbox

    model, images, labels = real(material, name, POINTS)
    right = model(images).argmax(dim=1) == labels
    images, labels = images[right], labels[right]
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    theirs = getattr(foolbox.attacks, PEERS[norm])(steps=STEPS).run(wrapped, images, labels)
    fooled = model(theirs).argmax(dim=1) != labels
    their_distance = torch.where(fooled, distance(images, theirs.clamp(0, 1), norm), torch.inf)
    ours = run("fmn", model, images, labels, ThreatModel.parse(str(norm), "1/2"), settings={"steps": STEPS})
    with capsys.disabled():
        print(f"\n{name} {norm}: ours {float(ours.distance.median()):.5f}, theirs {float(their_distance.median()):.5f}")
    assert float(ours.distance.median()) <= float(their_distance.median()) * 1.02
