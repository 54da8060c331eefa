"""Native AutoAttack against the package itself, on real networks, dense and pruned, under three threat models.

PEER_POINTS says how many test images each cell attacks; the bounds below are those of 200. PEER_CACHE names a folder
that keeps the package's answers, so that only our side runs again after a change.
"""

import os
from typing import NamedTuple

import pytest
import torch

from bench.attacks.reference import reference
from bench.protocol.load import load
from bench.threats import ThreatModel
from tests.support.cascade import harness, package, remembered
from tests.support.material import NETWORKS, STANDARD, Real, real

pytestmark = [pytest.mark.peer, pytest.mark.material]
POINTS = int(os.environ.get("PEER_POINTS", "200"))
THREATS = ["Linf 8/255", "Linf 2/255", "L2 1/2"]
CELLS = [(name, sparsity, threat) for name in NETWORKS for sparsity in ("0", "1/2") for threat in THREATS]


COPIES = 20
"""Copies of a point that the engines disagree on, each with random numbers of its own."""


class Verdicts(NamedTuple):
    """Which points of a cell stand: after our AutoAttack, in what we publish, and after the package."""

    ours: torch.Tensor
    published: torch.Tensor
    theirs: torch.Tensor


@pytest.fixture(scope="module")
def verdicts():
    """Collect the verdicts of every cell that ran."""
    return {}


def also_under_the_curves(problem, threat, standing):
    """Return what stands after the protocol's attack for curves, too, whose witnesses count like any others."""
    left = standing.nonzero().flatten()
    if not len(left):
        return standing
    rest = Real(problem.model, problem.images[left], problem.labels[left])
    published = standing.clone()
    published[left] = harness(rest, threat, {"fmn": load("cifar10-v1").attacks["fmn"]}).standing
    return published


@pytest.mark.parametrize(("name", "sparsity", "threat"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_stands_no_more_than_one_point_above_the_package(material, verdicts, name, sparsity, threat, capsys):
    model, problem = ThreatModel.parse(*threat.split()), real(material, name, POINTS, sparsity)
    ours = native(problem, model)
    published = also_under_the_curves(problem, model, ours)
    theirs = remembered(os.environ.get("PEER_CACHE"), real(material, name, POINTS, sparsity), model)
    verdicts[name, sparsity, threat] = Verdicts(ours, published, theirs)
    with capsys.disabled():
        counts = f"ours {int(ours.sum())}, published {int(published.sum())}, theirs {int(theirs.sum())}"
        print(f"\n{name} {sparsity} {threat}: {counts}, apart {(ours != theirs).nonzero().flatten().tolist()}")
    assert int(ours.sum()) <= int(theirs.sum()) + max(POINTS // 200, 1)


def test_over_all_cells_the_verdicts_agree_and_what_is_published_is_not_weaker(verdicts):
    if not verdicts:
        pytest.skip("no cell ran")
    ours, published, theirs = (torch.cat(every) for every in zip(*verdicts.values(), strict=True))
    assert float((ours == theirs).double().mean()) >= 0.995
    assert int(published.sum()) <= int(theirs.sum())


def test_where_the_engines_disagree_chance_decides(material, verdicts, capsys):
    """One count hangs on one draw; how often a point stands over many draws does not."""
    if not verdicts:
        pytest.skip("no cell ran")
    shares = []
    for (name, sparsity, threat), cell in verdicts.items():
        for point in (cell.ours != cell.theirs).nonzero().flatten().tolist():
            model, images, labels = real(material, name, POINTS, sparsity)
            copies = [part[point : point + 1].repeat(COPIES, *[1] * (part.ndim - 1)) for part in (images, labels)]
            both = [engine(Real(model, *copies), ThreatModel.parse(*threat.split())) for engine in (native, package)]
            shares.append([float(standing.double().mean()) for standing in both])
            with capsys.disabled():
                print(f"\n{name} {sparsity} {threat}, point {point}: stands in {shares[-1]} of the draws, ours, theirs")
    ours, theirs = torch.tensor(shares, dtype=torch.float64).reshape(-1, 2).unbind(dim=1)
    deviation = ((ours * (1 - ours) + theirs * (1 - theirs)).sum() / COPIES) ** 0.5
    assert float((ours - theirs).sum()) <= 3 * float(deviation)


def native(problem, threat):
    """Return what our AutoAttack leaves standing."""
    return harness(problem, threat, STANDARD).standing


def test_the_reference_engine_agrees_with_the_driver_of_the_package(material):
    """Seeds differ, so a point may; the attacks are the same."""
    threat = ThreatModel.parse("Linf", "2/255")
    points = min(POINTS, 100)
    engine = harness(real(material, "cnn_a_adv", points), threat, STANDARD, engine=reference).standing
    driver = package(real(material, "cnn_a_adv", points), threat)
    assert int((engine != driver).sum()) <= max(points // 100, 1)
