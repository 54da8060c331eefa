"""A run that is interrupted at every place in turn, and goes on each time, gives what an undisturbed one gives."""

from dataclasses import replace
from fractions import Fraction

import pytest

from bench.evaluation import environment
from bench.evaluation.conduct import run
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.record import result
from bench.evaluation.search import journal
from bench.evaluation.search.cascade import Cascade
from bench.models.source import ModelRef
from bench.protocol.load import load
from tests.support.runs import told

CELL = Request(
    ModelRef.parse("embedded:digits-tiny-linf"),
    load("digits-smoke-v1"),
    recipe="magnitude-global",
    sparsity=Fraction(1, 2),
    limit=3,
)
PLACES = {
    "a batch of candidates": (journal.Journal, "_write"),
    "the line that names it": (journal, "add_line"),
    "an attack": (Cascade, "run"),
    "the scenarios": (run, "measure_scenarios"),
    "the checks": (run, "after_attacks"),
    "the folder of the result": (result, "place"),
    "the journal that is kept": (journal.Journal, "keep"),
}


QUICK = {"the folder of the result", "the journal that is kept"}


@pytest.fixture(autouse=True)
def _committed(monkeypatch):
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "code_is_dirty", lambda: False)
        folder = run.evaluate(plan(replace(CELL, out=tmp_path_factory.mktemp("whole") / "run")))
    return told(folder, passes=False)


def _cases():
    """Return every place; what takes long is left to the long runs."""
    for place in PLACES:
        for after in (False, True):
            marks = [] if place in QUICK and not after else [pytest.mark.soak]
            yield pytest.param(place, after, marks=marks, id=f"{'after' if after else 'before'} {place}")


@pytest.mark.parametrize(("place", "after"), list(_cases()))
def test_an_interruption_costs_nothing_but_what_is_in_flight(undisturbed, tmp_path, monkeypatch, place, after):
    """Every call of the place is interrupted once, before it does anything or once it is done."""
    owner, name = PLACES[place]
    whole, calls, stops = getattr(owner, name), 0, 0

    def stopping(*given, **named):
        nonlocal calls, stops
        calls += 1
        if after:
            done = whole(*given, **named)
        if calls > stops:
            stops = calls
            raise KeyboardInterrupt
        return done if after else whole(*given, **named)

    monkeypatch.setattr(owner, name, stopping)
    settled, rounds = plan(replace(CELL, out=tmp_path / "run")), 0
    while True:
        calls, rounds = 0, rounds + 1
        try:
            folder = run.evaluate(settled)
        except KeyboardInterrupt:
            continue
        break
    assert rounds > 1
    assert told(folder, passes=False) == undisturbed
