"""Native AutoAttack against the package itself, on real networks, dense and pruned, under three threat models.

PEER_POINTS says how many test images each cell attacks; the bounds below are those of 200. PEER_CACHE names a folder
that keeps the package's answers, so that only our side runs again after a change.
"""

import os

import pytest
import torch

from bench.attacks.reference import reference
from bench.threats import ThreatModel
from tests.support.cascade import harness, package, remembered
from tests.support.material import NETWORKS, STANDARD, real

pytestmark = [pytest.mark.peer, pytest.mark.material]
POINTS = int(os.environ.get("PEER_POINTS", "200"))
THREATS = ["Linf 8/255", "Linf 2/255", "L2 1/2"]
CELLS = [(name, sparsity, threat) for name in NETWORKS for sparsity in ("0", "1/2") for threat in THREATS]


@pytest.fixture(scope="module")
def verdicts():
    """Collect (ours, theirs) of every cell that ran, for the sums over all cells."""
    return {}


@pytest.mark.parametrize(("name", "sparsity", "threat"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_stands_no_more_than_one_point_above_the_package(material, verdicts, name, sparsity, threat, capsys):
    model = ThreatModel.parse(*threat.split())
    ours = harness(real(material, name, POINTS, sparsity), model, STANDARD).standing
    theirs = remembered(os.environ.get("PEER_CACHE"), real(material, name, POINTS, sparsity), model)
    verdicts[name, sparsity, threat] = (ours, theirs)
    with capsys.disabled():
        apart = int((ours != theirs).sum())
        print(f"\n{name} {sparsity} {threat}: ours {int(ours.sum())}, theirs {int(theirs.sum())}, {apart} apart")
    assert int(ours.sum()) <= int(theirs.sum()) + max(POINTS // 200, 1)


def test_over_all_cells_the_verdicts_agree_and_ours_are_not_weaker(verdicts):
    if not verdicts:
        pytest.skip("no cell ran")
    ours, theirs = (torch.cat([pair[which] for pair in verdicts.values()]) for which in (0, 1))
    assert float((ours == theirs).double().mean()) >= 0.995
    assert int(ours.sum()) <= int(theirs.sum())


def test_the_reference_engine_agrees_with_the_driver_of_the_package(material):
    """Seeds differ, so a point may; the attacks are the same."""
    threat = ThreatModel.parse("Linf", "2/255")
    points = min(POINTS, 100)
    engine = harness(real(material, "cnn_a_adv", points), threat, STANDARD, engine=reference).standing
    driver = package(real(material, "cnn_a_adv", points), threat)
    assert int((engine != driver).sum()) <= max(points // 100, 1)
