"""What a flag claims hangs on how many points the run has."""

from dataclasses import replace

import pytest
import torch

from bench.data.dataset import DATASETS
from bench.evaluation.checks.check import CHECKS
from bench.evaluation.checks.doubt import concluding
from bench.evaluation.checks.runner import collapsed
from bench.evaluation.search.meter import Meter
from tests.support.suspects import Suspect, embedded, evidence_of, protocol


def test_fifty_points_bear_a_conclusion_and_fewer_do_not():
    assert concluding(50, "5 points fall", "gradients are masked") == "5 points fall; gradients are masked."
    few = concluding(49, "5 points fall", "gradients are masked")
    assert few == "5 points fall; a run on 49 points is too small to say why."


def dead(points: int, answers):
    """Return what the check of collapse says of a network that gives these answers."""
    data = DATASETS["digits"].load("test", range(points))
    network = embedded("digits-tiny-linf")
    evidence = replace(
        evidence_of(Suspect(network)),
        images=data.images(), labels=data.label_tensor(), ids=data.id_tensor(), parent_model=Meter(network, 10),
        logits=torch.nn.functional.one_hot(answers(data.label_tensor()), 10).float(),
    )  # fmt: skip
    (flag,) = CHECKS["collapse"].examine(evidence, protocol().checks["collapse"])
    return flag


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        (lambda labels: (labels + 1) % 10, "0 of {points} points are classified correctly"),
        (lambda labels: torch.where(torch.arange(len(labels)) % 3 == 0, labels, 3), "points get the same answer"),
        (lambda labels: torch.where(torch.arange(len(labels)) % 5 < 2, labels, (labels + 1) % 10), "accuracy, "),
    ],
    ids=["guessing", "one answer", "half of the parent"],
)
def test_a_network_is_called_collapsed_from_fifty_points_on(answers, seen):
    many, few = dead(200, answers), dead(49, answers)
    assert (collapsed([many], 200), collapsed([few], 49)) == (True, False)
    assert many.says.startswith("Collapsed: ")
    assert few.says.endswith("; 49 points are too few to tell whether the network has collapsed.")
    assert "Collapsed" not in few.says
    for flag, points in ((many, 200), (few, 49)):
        assert seen.format(points=points) in flag.says
        assert flag.level == "withhold"
