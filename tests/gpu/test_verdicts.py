"""On an accelerator the draws are the same, and so are the verdicts within what batches of another size may change."""

import pytest
import torch

from bench.attacks.draws import Draws
from bench.cli.main import run
from bench.evaluation.environment import exact_arithmetic
from bench.submission.files import read_result
from bench.submission.points import read_points
from bench.threats import Norm, ThreatModel
from tests.support.cascade import harness
from tests.support.material import Real, real

pytestmark = pytest.mark.gpu
DENSE = {
    "apgd-ce": {"steps": 50},
    "apgd-t": {"steps": 50, "targets": 3},
    "fab-t": {"steps": 20, "targets": 3},
    "square": {"queries": 400, "p_init": 0.8},
}
SPARSE = {
    "corner-search": {"pixels": 5, "first": 256, "others": 70, "beams": 4, "branch": 8},
    "corner-beam": {"pixels": 5, "first": 64, "beams": 4, "branch": 8},
    "sigma-zero": {"steps": 50, "grid": (1, 2, 5), "eliminate": 1},
    "sparse-pgd-u": {"iterations": 30, "grid": (2, 5)},
    "sparse-rs": {"queries": 200, "grid": (2, 5), "alpha_init": 0.3},
}
CELLS = [
    (name, threat, SPARSE if threat.startswith("L0") else DENSE)
    for name in ("cnn_a_adv4", "resnet2b_adv", "resnet18")
    for threat in ("Linf 2/255", "L2 1/2", "L0 5")
]
TOLERANCE = 0.995
"""Share of verdicts that are the same, as between batches of any size and order (`tests/peer/test_batches.py`)."""
MOST = 128
"""Points of each cell."""


@pytest.fixture(scope="module")
def verdicts():
    """Collect (on a processor, on the device) of every cell that ran."""
    return []


@pytest.mark.parametrize("step", [0, 1, 1 << 40])
def test_draws_are_the_same_to_the_bit(device, step):
    ids, draws = torch.arange(1000), Draws(seed=7, attack="square", round=2)
    there = ids.to(device)
    assert torch.equal(draws.bits(there, step, 9).cpu(), draws.bits(ids, step, 9))
    assert torch.equal(draws.uniform(there, step, 9).cpu(), draws.uniform(ids, step, 9))
    assert torch.equal(draws.signs(there, step, 9).cpu(), draws.signs(ids, step, 9))
    assert torch.equal(draws.permutation(there, step, 50).cpu(), draws.permutation(ids, step, 50))
    torch.testing.assert_close(draws.normal(there, step, 9).cpu(), draws.normal(ids, step, 9), rtol=1e-5, atol=1e-6)


@pytest.mark.material
@pytest.mark.parametrize(("name", "threat", "attacks"), CELLS, ids=[f"{cell[0]}-{cell[1]}" for cell in CELLS])
def test_verdicts_are_those_of_a_processor(material, device, points, verdicts, name, threat, attacks, told):
    model, problem = ThreatModel.parse(*threat.split()), real(material, name, min(points, MOST))
    with exact_arithmetic():
        here = harness(problem, model, attacks)
        there = harness(Real(*(part.to(device) for part in problem)), model, attacks)
    verdicts.append((here.standing, there.standing.cpu()))
    count, apart = len(problem.labels), int((here.standing != there.standing.cpu()).sum())
    told(f"| {name} | {threat} | {count} | {int(here.standing.sum())} | {int(there.standing.sum())} | {apart} |")
    assert apart <= max(1, count // 100)
    assert [tally.attack for tally in there.tallies] == list(attacks)


def test_over_all_cells_verdicts_agree(verdicts):
    if not verdicts:
        pytest.skip("no cell ran")
    here, there = (torch.cat([pair[which] for pair in verdicts]) for which in (0, 1))
    assert float((here == there).double().mean()) >= TOLERANCE


def test_a_whole_evaluation_gives_the_same_result(device, points, tmp_path):
    """Scenarios, checks and files included: what is written names the accelerator and counts the same points."""
    words = ["evaluate", "--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.5"]
    words += ["--protocol", "digits-smoke-v1", "--limit", str(min(points, 50))]
    here, there = (tmp_path / where / "half" for where in ("here", "there"))
    for where, out in (("cpu", here), (str(device), there)):
        assert run([*words, "--device", where, "--out", str(out)]) == 0
    assert read_result(here / "result.json").cost.machine.accelerator is None
    named = read_result(there / "result.json").cost.machine.accelerator
    assert (named is None) == (device.type == "cpu")
    ours, theirs = read_points(here / "points.npz"), read_points(there / "points.npz")
    assert (ours.prediction == theirs.prediction).all()
    for norm in Norm:
        assert int((ours.robust(norm) != theirs.robust(norm)).sum()) <= 1


def test_a_run_is_taken_over_from_a_processor(device, tmp_path):
    """What was proposed on one device is judged on the other, and nothing is attacked twice."""
    words = ["evaluate", "--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1", "--limit", "8"]
    out = ["--out", str(tmp_path / "run")]
    assert run([*words, "--threat", "Linf", "--device", "cpu", *out]) == 0
    before = read_result(tmp_path / "run" / "result.json")
    assert run([*words, "--threat", "L2", "--device", str(device), *out]) == 0
    after = read_result(tmp_path / "run" / "result.json")
    assert {threat.norm for threat in after.threats} == {Norm.LINF, Norm.L2}
    (linf,) = (threat for threat in after.threats if threat.norm is Norm.LINF)
    assert abs(linf.robust - before.threats[0].robust) <= 1
