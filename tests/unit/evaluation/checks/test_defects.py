"""Each defect is caught by the checks that should catch it."""

import re

import pytest

from bench.evaluation.checks.check import CHECKS
from bench.evaluation.checks.doubt import FEW
from bench.evaluation.checks.runner import collapsed
from bench.submission.schema import Level
from tests.support.defects import DEFECTS, pruned
from tests.support.suspects import HARNESS, L0, QUERIED, Suspect, caught, embedded, interrogate, planned, quick

HONEST = (
    "digits-cnn-natural", "digits-cnn-linf", "digits-cnn-l2", "digits-resnet-natural", "digits-resnet-linf",
    "digits-resnet-l2", "digits-mlp-linf", "digits-tiny-linf",
)  # fmt: skip


CONCLUSION = re.compile(
    r"^Collapsed|masked gradients|are masked|hides slopes|another reason|strongest|are broken|should\.|converged on"
)
"""What is wrong with a network or with attacks; so few points as stand before the checks here prove none of it."""

HONESTLY = [*QUERIED, *quick(L0, "corners", "sigma-zero", "sparse-pgd-u", "sparse-rs")]
QUICK = {
    ("digits-cnn-natural", False), ("digits-tiny-linf", False), ("digits-mlp-linf", True), ("digits-tiny-linf", True),
}  # fmt: skip


def _honest():
    """Return every network dense and half pruned; what takes long is left to the long runs."""
    for name in HONEST:
        for half in (False, True):
            slow = [] if (name, half) in QUICK else [pytest.mark.soak]
            yield pytest.param(name, half, marks=slow, id=f"{name}-{'half' if half else 'dense'}")


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_caught(name):
    defect = DEFECTS[name]
    flags = interrogate(defect.make())
    seen = caught(flags)
    assert defect.must <= set(seen), {flag.check: flag.says for flag in flags}
    grave = {check for check in defect.must if seen[check] is not Level.INFORM}
    assert grave or name == "warning"
    assert collapsed(flags, FEW) == ("collapse" in seen)
    assert [flag.says for flag in flags if CONCLUSION.search(flag.says)] == []


def test_every_check_catches_something():
    assert set().union(*(defect.must for defect in DEFECTS.values())) - {HARNESS} == set(CHECKS)


@pytest.mark.parametrize(("name", "half"), list(_honest()))
def test_no_check_warns_of_an_honest_network(name, half):
    suspect = pruned(name=name) if half else Suspect(embedded(name))
    suspect.lines, suspect.planned = HONESTLY, planned()
    flags = interrogate(suspect)
    assert [flag.says for flag in flags if flag.level is not Level.INFORM] == []
