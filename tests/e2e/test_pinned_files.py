"""A run under rules that pin files is a standard one if it read exactly these, and says why where it did not."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from bench.errors import ArtefactError, InputError
from bench.evaluation import environment
from bench.evaluation.conduct import away
from bench.evaluation.conduct.estimate import estimate
from bench.evaluation.conduct.forecast import forecast
from bench.evaluation.conduct.grid import Planned
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan import own
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import load_held_out, load_points
from bench.evaluation.record.standing import Standing
from bench.evaluation.review import review
from bench.models.source import ModelRef, architecture
from bench.models.weights import save
from bench.protocol.load import load
from bench.submission.check import examine
from bench.submission.coherence import result_problems
from bench.submission.files import dump, read_result
from bench.submission.schema import Level
from bench.threats import Norm
from tests.support import published
from tests.support.builders import write

FEW = 4
ARCH = "cnn-oval-base"
TEST = "svhn test is not read from test_32x32.mat, by which the rules pin it: bench data fetch svhn"
TRAIN = "svhn train is not read from train_32x32.mat, by which the rules pin it: bench data fetch svhn"


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path):
    """Return an empty data folder, beside code as it was committed."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def files(monkeypatch, data):
    return {split: published.svhn(monkeypatch, data, split) for split in ("test", "train")}


def rules():
    """Return the rules of a track, of the files that are told, cut to a few points and one short attack."""
    whole = published.repinned(load("svhn-v1"))
    sets = {"data": 0, "held_out": FEW, "calibration": 0}
    cut = {
        name: getattr(whole, name).model_copy(update={"first": first, "points": FEW}) for name, first in sets.items()
    }
    linf = whole.threat(Norm.LINF).model_copy(update={"attacks": ("apgd-ce",)})
    checks = {"held-out": whole.checks["held-out"]}
    short = {"threats": (linf,), "curves": (), "attacks": {"apgd-ce": {"steps": 2}}, "scenarios": (), "checks": checks}
    return whole.model_copy(update=cut | short | {"black_box": {}})


def settled(tmp_path, name="run", **options):
    draws, state = torch.Generator().manual_seed(0), architecture(ARCH).build().state_dict()
    drawn = {key: torch.randn(old.shape, generator=draws) / max(1, old[0].numel()) ** 0.5 for key, old in state.items()}
    save(tmp_path / "net.safetensors", drawn)
    ref = ModelRef.parse(str(tmp_path / "net.safetensors"), architecture=ARCH)
    return plan(Request(ref, rules(), out=tmp_path / name, parent_first=False, **options))


def sliced(data, split="test"):
    ids = np.arange(published.POINTS)
    images = np.full((len(ids), 32, 32, 3), 255, np.uint8)
    (data / "svhn").mkdir(parents=True, exist_ok=True)
    np.savez(data / "svhn" / f"{split}-0-{ids[-1]}.npz", images=images, labels=0 * ids, ids=ids)


def measured(settled, tell=lambda _: None):
    return read_result(evaluate(settled, tell=tell) / "result.json")


WANDA = {"recipe": "wanda", "sparsity": Fraction(1, 2)}


@pytest.mark.parametrize("options", [{}, WANDA])
def test_a_run_that_read_the_published_files_is_a_standard_one(files, tmp_path, options):
    told = []
    result = measured(settled(tmp_path, **options), told.append)
    assert (result.standard, result.deviations, told) == (True, (), [])
    assert not [flag for flag in result.flags if flag.figure is None]
    assert result.data.digest == load_points(settled(tmp_path)).digest
    assert not [
        says for says in result_problems(result, dump(result)) if "pins no points" in says or "digest of" in says
    ]


def test_a_run_on_slices_is_none_and_says_so_before_and_after(data, files, tmp_path):
    files["test"].unlink()
    sliced(data)
    told = []
    found = settled(tmp_path)
    foreseen = estimate(found)
    assert foreseen.deviations == (TEST,)
    assert f"Cannot be submitted: {TEST}." in foreseen.words()
    result = measured(found, told.append)
    assert (result.standard, result.deviations) == (False, (TEST,))
    assert told[0] == f"Cannot be submitted: {TEST}."
    (flag,) = [flag for flag in result.flags if flag.figure is None]
    assert (flag.check, flag.level) == ("held-out", Level.WARN)
    assert any("not a standard run" in says and TEST in says for says in result_problems(result, dump(result)))


def test_a_network_that_was_pruned_on_slices_is_none_either(data, files, tmp_path):
    files["train"].unlink()
    sliced(data, "train")
    assert estimate(settled(tmp_path, **WANDA)).deviations == (TRAIN,)
    assert measured(settled(tmp_path, **WANDA)).deviations == (TRAIN,)
    assert measured(settled(tmp_path, "dense")).standard, "who looks at no training image needs none"


def test_a_sweep_says_so_before_it_begins(data, files, tmp_path):
    files["test"].unlink()
    sliced(data)
    found = settled(tmp_path)
    foreseen = forecast([Planned(found, None)], {found.name: Standing.WAITING}, 1, lambda *_: None)
    assert foreseen.document()["deviations"] == [TEST]
    assert f"Cannot be submitted: {TEST}." in foreseen.words()


def test_another_file_under_the_published_name_is_refused(files, tmp_path):
    found = settled(tmp_path)
    files["test"].write_bytes(files["train"].read_bytes())
    with pytest.raises(ArtefactError, match="was published"):
        evaluate(found)


def test_a_published_file_that_the_rules_do_not_pin_is_not_theirs(monkeypatch, data, files, tmp_path):
    """As where a later release knows of other files."""
    found = settled(tmp_path)
    published.svhn(monkeypatch, data, "test", seed=5)
    assert measured(found).deviations == (TEST,)


def test_points_held_out_come_from_the_published_file_or_are_none(data, files, tmp_path):
    found = settled(tmp_path)
    assert len(load_held_out(found)) == FEW
    files["test"].unlink()
    sliced(data)
    with pytest.raises(InputError, match="svhn test is not read from"):
        load_held_out(found)


def test_nothing_is_reviewed_on_other_images(monkeypatch, data, files, tmp_path):
    found = settled(tmp_path)
    entry = write(tmp_path)
    monkeypatch.setattr(review, "sound", lambda place: examine(place)[0])
    monkeypatch.setattr(review, "fetch_weights", lambda _: [])
    monkeypatch.setattr(review, "_plan", lambda *_: found)
    assert len(review.at_hand(entry)[1].points) == FEW
    files["test"].unlink()
    sliced(data)
    with pytest.raises(InputError, match="Nothing is held against other images"):
        review.at_hand(entry)


def test_the_rules_are_checked_against_what_is_there(data, files):
    told = dict(own.check(rules()))
    pin = f"test_32x32.mat md5:{published.md5(files['test'].read_bytes())}"
    assert told["digest"].endswith(f'" (from {pin}, which pins them)')
    assert told["held out, 4 of test"].endswith(f'" (from {pin}, which pins them)')
    files["test"].unlink()
    sliced(data)
    assert dict(own.check(rules()))["digest"].endswith(f'" ({TEST})')


def test_points_that_travel_say_where_they_come_from(data, files, tmp_path):
    path = tmp_path / "sent.npz"
    for kept in (True, False):
        points = load_points(settled(tmp_path))
        assert bool(points.read_from) == kept
        path.write_bytes(away.packed(points))
        arrived = away._read_set(path)
        assert (arrived.read_from, arrived.digest) == (points.read_from, points.digest)
        files["test"].unlink(missing_ok=True)
        sliced(data)


def test_a_plan_of_a_few_points_is_judged_by_their_file_too(files, tmp_path):
    assert estimate(replace(settled(tmp_path), ids=(0, 1))).deviations == ()
