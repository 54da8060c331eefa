"""On real networks a point's verdict hangs neither on its batch nor on its place in it."""

import pytest
import torch

from bench.threats import ThreatModel
from tests.support.cascade import harness
from tests.support.material import Real, real

pytestmark = [pytest.mark.peer, pytest.mark.material]
DENSE = {
    "apgd-ce": {"steps": 50},
    "apgd-t": {"steps": 50, "targets": 3},
    "fab-t": {"steps": 20, "targets": 3},
    "square": {"queries": 400, "p_init": 0.8},
}
SPARSE = {
    "sigma-zero": {"steps": 50, "grid": (1, 2, 5), "eliminate": 1},
    "sparse-pgd-u": {"iterations": 30, "grid": (2, 5)},
    "sparse-rs": {"queries": 200, "grid": (2, 5), "alpha_init": 0.3},
}
CELLS = [
    ("cnn_a_adv", "Linf 2/255", DENSE, 40),
    ("cnn_a_adv", "L2 1/2", DENSE, 40),
    ("cnn_a_adv", "L0 5", SPARSE, 40),
    ("resnet2b_adv", "Linf 2/255", DENSE, 40),
    ("resnet20_standard", "L0 5", SPARSE, 40),
]


@pytest.fixture(scope="module")
def verdicts():
    """Collect (as it is, otherwise) of every cell and variant that ran."""
    return []


@pytest.mark.parametrize(("name", "threat", "attacks", "points"), CELLS, ids=[f"{c[0]}-{c[1]}" for c in CELLS])
def test_batch_size_order_and_memory_format_change_hardly_a_verdict(
    material, verdicts, name, threat, attacks, points, capsys
):
    model = ThreatModel.parse(*threat.split())
    problem = real(material, name, points)
    usual = harness(problem, model, attacks).standing
    order = torch.randperm(points, generator=torch.Generator().manual_seed(0))
    strided = Real(problem.model, problem.images.to(memory_format=torch.channels_last), problem.labels)
    others = {f"batches of {size}": harness(problem, model, attacks, batch=size).standing for size in (1, 7, 64, 512)}
    others["shuffled"] = harness(problem, model, attacks, order=order).standing
    others["channels last"] = harness(strided, model, attacks).standing
    for way, standing in others.items():
        verdicts.append((usual, standing))
        with capsys.disabled():
            print(f"\n{name} {threat}, {way}: {int((usual != standing).sum())} of {points} differ", end="")
        assert int((usual != standing).sum()) <= 1


def test_over_all_cells_at_most_one_verdict_in_two_hundred_differs(verdicts):
    assert verdicts, "no cell ran"
    usual, other = (torch.cat([pair[which] for pair in verdicts]) for which in (0, 1))
    assert float((usual == other).double().mean()) >= 0.995
