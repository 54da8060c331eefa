"""Weaker adversaries are measured on their own, and their witnesses count in the worst case."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from bench.attacks.attack import Access
from bench.errors import InputError
from bench.evaluation.conduct.foresight import lacking_parent
from bench.evaluation.conduct.parents import find_parent, parent_first, parent_plan, read_parent
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.conduct.scenarios import NO_TRANSFER, black_box, transfer
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import prepare
from bench.evaluation.search.cascade import Cascade, Target
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.files import read_result
from bench.threats import Norm

MODEL = ModelRef.parse("embedded:digits-tiny-linf")
RULES = load("digits-smoke-v1")


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """Return the finished run of a dense network on ten points."""
    out = tmp_path_factory.mktemp("runs") / "digits-tiny-linf--dense"
    return evaluate(plan(Request(MODEL, RULES, limit=10, out=out)))


@pytest.fixture
def pruned(dense):
    """Return a pruned cell of the same points, with nothing attacked yet."""
    request = Request(
        MODEL, RULES, recipe="magnitude-global", sparsity=Fraction(1, 2), limit=10, out=dense.parent / "half"
    )
    cell = prepare(plan(request))
    images, labels = cell.points.images(), cell.points.label_tensor()
    logits = cell.pruned.network(images)
    pool = Pool(images, logits.argmax(1) == labels, cell.plan.threats)
    target = Target(cell.pruned.network, images, labels, cell.points.id_tensor(), logits)
    return cell, Cascade(target, pool, 0, 10)


def test_the_parent_is_found_beside_the_run(dense, pruned):
    cell, _ = pruned
    parent, why = find_parent(cell.plan, cell.parent)
    assert parent is not None, why
    assert parent.result == read_result(dense / "result.json")


def test_transferred_witnesses_are_judged_on_the_pruned_network(dense, pruned):
    cell, cascade = pruned
    parent = read_parent(dense, cell.plan, cell.loaded.digest)
    record = transfer(cascade, parent, cell.plan.threats)
    for threat in cell.plan.threats:
        standing = int(cascade.pool.standing(threat.norm, float(threat.epsilon)).sum())
        assert standing <= record.robust[threat.norm] <= int(cascade.pool.correct.sum())
    assert record.forwards > 0
    assert record.parent == {threat.norm: threat.best_known for threat in parent.result.threats}
    assert min(record.robust.values()) < int(cascade.pool.correct.sum()), "no witness of the parent fooled its child"


def test_the_black_box_leaves_what_query_attacks_alone_leave(pruned):
    """After a cascade that broke most points, the scenario still says what the query attacks do by themselves."""
    cell, cascade = pruned
    alone = {}
    for threat in cell.plan.threats:
        lonely = Cascade(cascade.target, Pool(cascade.pool.originals, cascade.pool.correct, [threat]), 0, 10)
        for step in cell.plan.steps:
            if step.threat == threat and step.attack.access is Access.BLACK_BOX:
                lonely.run(step.attack, threat, step.settings)
        alone[threat.norm] = int(lonely.pool.standing(threat.norm, float(threat.epsilon)).sum())
    for step in cell.plan.steps:
        cascade.run(step.attack, step.threat, step.settings)
    assert black_box(cascade, cell.plan.steps, cell.plan.threats, {}).robust == alone


def test_points_that_fell_before_square_are_asked_as_often_as_the_scenario_says(pruned):
    cell, cascade = pruned
    threats = [threat for threat in cell.plan.threats if threat.norm is Norm.L2]
    steps = [step for step in cell.plan.steps if step.threat in threats and step.attack.name != "fmn"]
    for step in steps:
        cascade.run(step.attack, step.threat, step.settings)
    again = int((cascade.pool.correct & ~cascade.tried[Norm.L2, "square"]).sum())
    assert again > 0, "every point stood until Square's turn"
    stood = int(cascade.pool.standing(Norm.L2, float(threats[0].epsilon)).sum())
    record = black_box(cascade, steps, threats, {"square": {"queries": 3, "p_init": 0.8}})
    assert stood <= record.robust[Norm.L2] <= int(cascade.pool.correct.sum())
    assert 0 < record.forwards <= again * 4, "the start and three queries each"


def test_a_norm_without_query_attacks_has_no_black_box(pruned):
    cell, cascade = pruned
    steps = [step for step in cell.plan.steps if step.attack.access is not Access.BLACK_BOX]
    record = black_box(cascade, steps, cell.plan.threats, {})
    assert (record.robust, record.forwards) == ({}, 0)


def half(**changes):
    return plan(Request(MODEL, RULES, recipe="magnitude-global", sparsity=Fraction(1, 2), **{"limit": 10} | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "no run of this model's parent"),
        ({"protocol": load("digits-v1")}, "other rules"),
        ({"protocol": load("digits-v1").under("fast")}, "other rules"),
    ],
)
def test_the_run_of_another_network_or_of_other_rules_is_no_parent(dense, changes, says):
    with pytest.raises(InputError, match=says):
        read_parent(dense, replace(half(), **changes), "0" * 64)


def test_a_folder_that_is_named_must_be_the_parents(dense, pruned, tmp_path):
    other = shutil.copytree(dense, tmp_path / "digits-tiny-linf--dense")
    stranger = replace(pruned[0].loaded, digest="0" * 64)
    with pytest.raises(InputError, match="no run of this model's parent"):
        find_parent(half(parent_run=other), stranger)


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [({"limit": 12}, "lacks 2 points"), ({"points": (5, 15), "limit": None}, "5 points"), ({"seed": 7}, "the seed 7")],
)
def test_a_parents_run_on_less_than_the_points_of_its_child_is_not_enough(dense, pruned, changes, lacking):
    settled = half(**changes)
    with pytest.raises(InputError, match=lacking):
        read_parent(dense, settled, pruned[0].parent.digest)
    none, why = find_parent(replace(settled, out=dense.parent / "half"), pruned[0].parent)
    assert none is None
    assert lacking in why


def test_a_parents_run_in_fewer_norms_is_replayed_for_those_and_the_others_are_named(dense, pruned, tmp_path):
    cell, cascade = pruned
    one = evaluate(plan(Request(MODEL, RULES, limit=10, norms=(Norm.L0,), out=tmp_path / "one")))
    lacks = f"{str(one)!r} was not attacked under Linf 1/10 and L2 1/2"
    parent, why = find_parent(half(parent_run=one), cell.parent)
    assert why == lacks
    record = transfer(cascade, parent, cell.plan.threats)
    assert set(record.robust) == set(record.parent) == {Norm.L0}
    assert lacking_parent(half(parent_run=one), cell.parent) == f"{NO_TRANSFER}: {lacks}"
    beside = replace(half(), out=tmp_path / "half")
    assert find_parent(beside, cell.parent)[1] == lacks
    assert parent_first(beside, cell.parent) is not None, "whatever is missing is measured where that may be"
    with pytest.raises(InputError, match="lacks the threat Linf 1/10"):
        read_parent(one, half(norms=(Norm.LINF,)), cell.parent.digest)
    assert read_parent(dense, half(norms=(Norm.L0,)), cell.parent.digest), "more than is needed is enough"


def test_a_parents_run_of_more_is_found_beside_whatever_it_is_called(dense, pruned, tmp_path):
    shutil.copytree(dense, tmp_path / "some name")
    settled = replace(half(norms=(Norm.L2,), limit=5), out=tmp_path / "half")
    parent, why = find_parent(settled, pruned[0].parent)
    assert parent is not None, why
    assert parent_first(settled, pruned[0].parent) is None
    apart = replace(settled, out=tmp_path / "apart" / "half")
    assert parent_first(apart, pruned[0].parent).out.parent == tmp_path / "apart"


def test_a_parent_is_measured_as_its_child_is_in_a_folder_beside_it():
    child = half(seed=3, norms=(Norm.L2,), out=Path("somewhere/half"))
    settled = parent_plan(child, MODEL)
    assert settled.out == Path("somewhere/digits-tiny-linf--dense--points-0-10--l2--seed-3")
    assert (settled.ids, settled.steps, settled.seed) == (child.ids, child.steps, child.seed)
    assert settled.request.dense
    named_alike = parent_plan(replace(child, out=settled.out), MODEL)
    assert named_alike.out != settled.out


def test_curves_of_every_norm_hold_the_bounds_between_norms(dense):
    """RA_L2(ε√D) ≤ RA_Linf(ε) and, for one channel, RA_L2(√k) ≤ RA_L0(k): pooled witnesses make it so."""
    from bench.submission.arrays import read_arrays

    arrays = read_arrays(dense / "points.npz")
    linf, l2, l0 = (torch.from_numpy(arrays[f"distance_{norm}"]) for norm in Norm)
    for radius in (0.05, 0.1, 0.2):
        assert (l2 > radius * 8 * 1.0001).sum() <= (linf > radius).sum()
    for count in (1, 2, 4):
        assert (l2 > count**0.5).sum() <= (l0 > count).sum()


def test_what_a_cascade_says_of_itself_hangs_on_no_other_norm(dense, tmp_path):
    """The account of a threat model is the same alone and among others; only what is known beyond it is not."""
    together = read_result(dense / "result.json")
    for norm in Norm:
        apart = read_result(
            evaluate(plan(Request(MODEL, RULES, limit=10, norms=(norm,), out=tmp_path / norm.lower()))) / "result.json"
        )
        (alone,), among = apart.threats, together.threat(norm)
        assert (alone.robust, alone.attacks) == (among.robust, among.attacks)
        assert alone.best_known >= among.best_known
        assert tuple(apart.curves) == (norm,)
        assert tuple(apart.scenarios["black-box"].robust) == (norm,)
        assert apart.scenarios["black-box"].robust[norm] == together.scenarios["black-box"].robust[norm]
