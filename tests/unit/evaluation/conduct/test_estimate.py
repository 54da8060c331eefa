"""A dry run tells at once what would run, what it needs, what it costs and why its result could not be submitted."""

from dataclasses import replace
from fractions import Fraction

import pytest

from bench.data.dataset import DATASETS
from bench.errors import ArtefactError, ContractError, DisagreementError, UsageError
from bench.evaluation import environment
from bench.evaluation.conduct import estimate as module
from bench.evaluation.conduct.estimate import duration, estimate
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan import prepare
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.evaluation.search.cascade import Cascade
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.threats import Norm

TINY = ModelRef.parse("embedded:digits-tiny-linf")
SMOKE, CIFAR = load("digits-smoke-v1"), load("cifar10-v1")
HALF = {"recipe": "wanda", "sparsity": Fraction(1, 2)}


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """Work in a folder of its own, by code as committed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)


@pytest.fixture
def idle(monkeypatch):
    """Let nobody attack and nobody prune."""

    def refuse(*_, **__):
        raise AssertionError("a dry run attacks nothing and prunes nothing")

    monkeypatch.setattr(Cascade, "run", refuse)
    monkeypatch.setattr(prepare, "prune", refuse)


def settle(model=TINY, protocol=SMOKE, **options):
    return plan(Request(model, protocol, **options))


def test_passes_are_those_of_points_that_stand_to_the_end(idle):
    found = estimate(settle(norms=(Norm.LINF,), limit=10))
    passes = {step.attack.name: each for step, each in zip(found.plan.steps, found.steps, strict=True)}
    assert (passes["square"].forwards, passes["square"].backwards) == (101, 0)
    each = sum(cost.forwards for cost in found.steps) + 1  # and the clean pass
    assert found.most.forwards == 10 * each
    assert found.most.backwards == 10 * sum(cost.backwards for cost in found.steps)
    seconds = found.document()["most"]["seconds"]
    assert seconds == round(found.most.forwards * found.pace.forward + found.most.backwards * found.pace.backward, 1)
    assert found.exit_code == 0


def test_every_reason_against_a_submission_is_told(idle, monkeypatch):
    monkeypatch.setattr(environment, "code_is_dirty", lambda: True)
    found = estimate(settle(limit=10, parent_first=False, **HALF))
    assert found.deviations == (
        "points 0:10 instead of 0:50",
        "the code differs from its commit",
        "no transfer from the parent: evaluate the dense model first, or name its folder with --parent",
    )
    assert [f"Cannot be submitted: {reason}." for reason in found.deviations] == found.words()[-3:]
    assert found.document()["standard"] is False
    assert found.exit_code == 0  # it would run


def test_a_parent_at_hand_is_found_and_one_that_is_not_would_be_measured_first(tmp_path):
    options = {"norms": (Norm.LINF,), "limit": 4}
    before = estimate(settle(**options, **HALF))
    assert before.first.out == settle(**options).out
    assert "--no-parent-run" in " ".join(before.words())
    assert before.document()["first"]["entry"] == "digits-tiny-linf--dense--points-0-4--linf"
    evaluate(settle(**options))
    after = estimate(settle(**options, **HALF))
    assert after.first is after.document()["first"] is None
    assert not any("parent" in reason for found in (before, after) for reason in found.deviations)


def test_what_is_told_of_a_network_is_held_to_its_weights(idle):
    with pytest.raises(DisagreementError, match=r"0\.9 is claimed, 0 was measured"):
        estimate(settle(origin=Origin(TINY, sparsity=Fraction(9, 10))))
    with pytest.raises(ArtefactError, match="is not the parent of"):
        estimate(settle(origin=Origin(ModelRef.parse("embedded:digits-mlp-linf"))))


def test_missing_weights_are_told_with_their_place_and_the_network_is_timed_without_them(idle):
    ref = ModelRef.parse("gone.safetensors", architecture="digits-cnn")
    found = estimate(settle(ref))
    assert found.exit_code == 3
    assert "Before it can start: No weights can be read from 'gone.safetensors'" in "\n".join(found.words())
    assert found.pace.forward > 0


def test_missing_data_are_told_with_their_place_and_weights_are_timed_without_them(idle, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "empty"))
    ref = ModelRef.parse("gone.safetensors", architecture="cnn-a")
    found = estimate(settle(ref, CIFAR, **HALF))
    assert [str(error).count("cifar-10-python.tar.gz (md5") for error in found.needs.absent] == [1, 1]
    assert ["test-<first>" in str(error) for error in found.needs.absent] == [True, False]  # training images, too
    assert len(found.needs.obstacles) == 1
    assert found.pace.backward > 0


@pytest.mark.parametrize("name", ["digits-cnn", "resnet18"])
def test_a_network_for_other_images_is_refused_with_its_weights_or_without(idle, name):
    ref = ModelRef.parse("gone.safetensors", architecture=name)
    with pytest.raises(UsageError, match=r"takes images of \d"):
        estimate(settle(ref, CIFAR if name == "digits-cnn" else SMOKE))
    with pytest.raises(UsageError, match=r"takes images of \d"):
        estimate(settle(TINY, CIFAR))


def test_a_network_that_fails_is_refused_with_one_sentence(idle, monkeypatch):
    loaded = prepare.load(TINY)

    class Broken(type(loaded.classifier)):
        def forward(self, images):
            return super().forward(images).round_().detach()

    loaded.classifier.__class__ = Broken
    monkeypatch.setattr(prepare, "load", lambda _: loaded)
    with pytest.raises(ContractError, match=r"fails on images of shape \(1, 8, 8\), forward or back to them: .*\.$"):
        estimate(settle())


def test_a_folder_that_is_there_already_would_stop_the_run(idle, tmp_path):
    (tmp_path / "mine").mkdir()
    found = estimate(settle(out=tmp_path / "mine"))
    assert found.exit_code == 2
    assert "exists already" in found.document()["obstacles"][0]


def test_unfinished_work_is_told_unless_it_is_to_be_thrown_away(idle, tmp_path):
    folder = tmp_path / "mine.partial"
    folder.mkdir()
    settled = settle(out=tmp_path / "mine")
    assert not estimate(settled).unfinished
    (folder / "journal.jsonl").write_text("{}\n")
    assert estimate(settled).unfinished
    assert not estimate(replace(settled, request=replace(settled.request, resume=False))).unfinished


def test_of_a_large_data_set_a_few_points_are_looked_at(idle, monkeypatch):
    seen = []
    source = DATASETS["digits"]

    def watched(split, ids):
        seen.append(len(ids))
        return source.load(split, ids)

    settled = replace(settle(), source=replace(source, load=watched))
    estimate(settled)
    monkeypatch.setattr(module, "_NUMBERS", 49 * 64)
    estimate(settled)
    held_out = 200
    assert seen == [50, held_out, 25, held_out]


def test_times_are_spelled_in_the_unit_that_suits_them():
    spelled = [duration(seconds) for seconds in (0.0123, 1.5, 45.0, 119.0, 120.0, 1e3, 7200.0, 1e5, 864e3)]
    assert spelled == ["0.012 s", "1.5 s", "45 s", "119 s", "2 min", "17 min", "2 h", "28 h", "10 days"]
