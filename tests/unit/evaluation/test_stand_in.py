"""Attacks may search on a stand-in; the classifier alone judges, and an auditor never sees another."""

import pytest
import torch

from bench.attacks.attack import ATTACKS
from bench.evaluation import run
from bench.evaluation.cascade import Cascade, Target
from bench.evaluation.plan import Request, plan
from bench.evaluation.pool import Pool
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.threats import Norm, ThreatModel, exact
from bench.twin.twin import stand_in
from tests.unit.evaluation.test_cascade import LINF, bright, lift, make

WIDE = ThreatModel(Norm.LINF, exact("1/255"))


def dark(images):
    return bright(images).flip(1)


def test_an_attack_asks_the_stand_in_and_the_classifier_judges():
    images = torch.tensor([0.45, 0.3]).view(2, 1, 1, 1).expand(2, 1, 2, 2).contiguous()
    asked = []

    def search(given):
        asked.append(len(given))
        return dark(given)

    def believe(model, points, threat, settings, draws):
        assert (model(points.images).argmax(dim=1) == 1).all()  # the stand-in takes every point for broken
        return lift(search, points, threat, settings, draws)

    logits = bright(images)
    target = Target(bright, images, torch.zeros(2, dtype=torch.int64), torch.arange(2), logits, search=search)
    cascade = Cascade(target, Pool(images, logits.argmax(dim=1) == 0, [LINF]), seed=0, batch=2)
    tally = cascade.run(make(believe), LINF, {})
    assert asked == [2, 2]
    assert tally.forwards == 2
    assert cascade.pool.standing(Norm.LINF, 0.1).tolist() == [False, True]


@pytest.mark.parametrize(("engine", "stands_in"), [("native", True), ("reference", False)])
def test_the_auditor_looks_at_the_network_itself(monkeypatch, engine, stands_in):
    asked = []
    monkeypatch.setattr(run, "stand_in", lambda network, images: asked.append((network, len(images))) or dark)
    settled = plan(Request(ModelRef.parse("embedded:digits-tiny-linf"), load("digits-smoke-v1"), engine=engine))
    cell = run.prepare(settled)
    target = run.aim(cell, torch.device("cpu"), 8)
    assert target.classifier is cell.pruned.network
    assert target.search is (dark if stands_in else None)
    assert asked == ([(cell.pruned.network, 8)] if stands_in else [])


def test_an_embedded_network_stands_in_for_itself():
    cell = run.prepare(plan(Request(ModelRef.parse("embedded:digits-resnet-linf"), load("digits-smoke-v1"))))
    assert run.aim(cell, torch.device("cpu"), 8).search is cell.pruned.network


@pytest.mark.material
@pytest.mark.parametrize("threads", [1, 2])
def test_attacks_on_a_twin_give_the_verdicts_of_the_network(material, threads):
    from tests.support.material import real

    problem = real(material, "resnet18", 12)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        search = stand_in(problem.model, problem.images[:8])
        assert search is not problem.model
        verdicts = []
        for model in (None, search):
            with torch.no_grad():
                logits = problem.model(problem.images)
            target = Target(problem.model, problem.images, problem.labels, torch.arange(12), logits, search=model)
            pool = Pool(problem.images, logits.argmax(dim=1) == problem.labels, [WIDE])
            cascade = Cascade(target, pool, 0, 12)
            cascade.run(ATTACKS["apgd-ce"], WIDE, {"steps": 20})
            verdicts.append(pool.standing(Norm.LINF, float(WIDE.epsilon)))
    finally:
        torch.set_num_threads(before)
    plain, twin = verdicts
    assert int((plain != twin).sum()) <= 1  # of short attacks; signs of gradients near zero turn with any rounding
    assert 0 < int(plain.sum()) < 12
