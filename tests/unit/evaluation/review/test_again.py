"""Another run beside what an entry claims: what is lowered and signed, and what nobody signs."""

import shutil
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from bench.errors import InputError, SubmissionError
from bench.evaluation.plan.ask import ask
from bench.evaluation.review.review import Review, compare_again, lowered
from bench.evaluation.review.table import Verdict
from bench.submission.again import lay
from bench.submission.check import Folder, examine
from bench.submission.files import dump, read_result
from bench.submission.schema import ScenarioRecord, VerificationLevel
from bench.submission.verification import verification_problems
from bench.threats import Norm
from tests.support.signers import KEY, NAME, STRANGER

DAY = date(2099, 1, 1)


@pytest.fixture(scope="module")
def run_of(request):
    """Return a committed entry as the run that a verifier made."""
    return request.config.rootpath / "submissions/digits-v1/digits-tiny-linf--magnitude-global-90"


@pytest.fixture
def claimed(run_of):
    """Return how to make the review of an entry that says that so many points more stand under L2."""
    true, _ = examine(run_of)
    plan = ask("embedded:digits-tiny-linf", "digits-v1")

    def make(more=0, *, scenarios=None):
        distance = {norm: values.copy() for norm, values in true.points.distance.items()}
        near = np.flatnonzero((distance[Norm.L2] > 0) & (distance[Norm.L2] < 0.5))[:more]
        distance[Norm.L2][near] = np.inf
        result = true.result.model_copy(update={"scenarios": scenarios or true.result.scenarios})
        entry = Folder(true.submission, result, replace(true.points, distance=distance), None)
        return Review(run_of, entry, plan), true.points.id[near].tolist()

    return make


def disagreeing(found):
    return [row.what for row in found.table.rows if row.verdict is Verdict.DISAGREES]


@pytest.mark.parametrize(("more", "told"), [(0, []), (3, []), (4, ["L2 robust, best known"])])
def test_half_a_percent_may_fall_and_more_is_told_with_the_lower_count(claimed, run_of, more, told):
    found, ids = claimed(more)
    again = compare_again(found, run_of)
    assert disagreeing(found) == told
    assert not found.table.refuted
    fell = {threat.norm: list(threat.fallen) for threat in again.threats}
    assert fell == {Norm.LINF: [], Norm.L2: ids, Norm.L0: []}
    assert not any(threat.stood for threat in again.threats)


def test_points_that_fell_to_the_smoke_attack_are_taken_too(claimed, run_of):
    found, _ = claimed()
    stands = np.sort(found.entry.points.id)[found.entry.standing()[Norm.LINF]].tolist()
    found.fallen = {Norm.LINF: stands[:1]}
    again = compare_again(found, run_of)
    assert again.threats[0].fallen == (stands[0],)
    assert again.threats[0].best_known == len(stands) - 1


def test_points_that_fell_to_a_verifier_before_stay_fallen(claimed, run_of, monkeypatch):
    monkeypatch.setattr("bench.submission.verification.tomorrow", lambda: DAY)
    found, ids = claimed(2)
    before = compare_again(found, run_of).signed(run_of, VerificationLevel.RE_RUN, KEY, DAY)
    later, _ = claimed(2)
    later.entry = replace(later.entry, verification=before)
    assert [list(threat.fallen) for threat in lowered(later).threats] == [[], ids, []]
    compare_again(later, run_of)
    (row,) = [row for row in later.table.rows if row.what == "L2 robust, best known"]
    assert "(0 fell, 0 stood" in row.found


def test_an_invented_scenario_is_told(claimed, run_of):
    many = dict.fromkeys(Norm, 450)
    found, _ = claimed(scenarios={"black-box": ScenarioRecord(robust=many, forwards=1)})
    compare_again(found, run_of)
    assert disagreeing(found) == ["black-box scenario"]
    assert found.table.refuted


def bent(found, norm, by):
    """Return the review of an entry whose distances were multiplied, with curves that say the same."""
    points = found.entry.points
    distance = points.distance | {norm: (points.distance[norm] * np.float32(by)).astype(np.float32)}
    points, result = replace(points, distance=distance), found.entry.result
    curve = result.curves[norm]
    robust = tuple(int(points.standing(norm, Fraction(epsilon)).sum()) for epsilon in curve.epsilon)
    result = result.model_copy(update={"curves": result.curves | {norm: curve.model_copy(update={"robust": robust})}})
    found.entry = replace(found.entry, result=result, points=points)
    return found


def test_a_curve_that_was_bent_beyond_the_radius_of_the_board_is_told(claimed, run_of):
    found, _ = claimed()
    far = found.entry.points.distance[Norm.L2] > 0.5
    distance = found.entry.points.distance[Norm.L2].copy()
    distance[far] *= 3
    found.entry = replace(
        found.entry, points=replace(found.entry.points, distance=found.entry.points.distance | {Norm.L2: distance})
    )
    compare_again(bent(found, Norm.L2, 1), run_of)
    assert disagreeing(found) == ["L2 curve"]
    assert found.table.refuted


def test_a_network_that_says_it_falls_where_it_stands_is_not_signed(claimed, run_of):
    """A weak parent flatters its children."""
    found, _ = claimed()
    stands = np.sort(found.entry.points.id)[found.entry.standing()[Norm.LINF]]
    distance = found.entry.points.distance[Norm.LINF].copy()
    distance[np.isin(found.entry.points.id, stands[:30])] = np.float32(0.05)
    weak = found.entry.points.distance | {Norm.LINF: distance}
    found.entry = replace(found.entry, points=replace(found.entry.points, distance=weak))
    compare_again(bent(found, Norm.LINF, 1), run_of)
    assert "Linf points said to fall that stand" in disagreeing(found)
    assert found.table.refuted


def test_another_peoples_network_is_told_by_what_the_run_found(claimed, run_of, tmp_path):
    """Whatever the entry says its distances are: those of the run are its neighbour's."""
    folder = tmp_path / "digits-v1"
    for name in ("victim", "thief"):
        shutil.copytree(run_of, folder / name)
    found, _ = claimed()
    people = found.entry.submission.model_copy(update={"authors": ("Somebody Else",), "id": "thief"})
    found.place, found.entry = folder / "thief", replace(found.entry, submission=people)
    (folder / "thief" / "submission.toml").write_bytes(
        (run_of / "submission.toml").read_bytes().replace(b"The prunebench maintainers", b"Somebody Else")
    )
    compare_again(bent(found, Norm.L2, 0.997), run_of)
    (row,) = [row for row in found.table.rows if row.what == "network"]
    assert (row.verdict, row.found) == (Verdict.DISAGREES, "answers as victim")


def test_a_run_that_is_not_standard_says_nothing(claimed, run_of, tmp_path):
    result = read_result(run_of / "result.json")
    odd = result.model_copy(update={"standard": False, "deviations": ("seed 7 instead of 0",)})
    (tmp_path / "result.json").write_bytes(dump(odd))
    with pytest.raises(SubmissionError, match=r"not a standard run \(seed 7 instead of 0\)"):
        compare_again(claimed()[0], tmp_path)


def test_what_is_signed_counts_and_names_what_fell(claimed, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.submission.verification.tomorrow", lambda: DAY)
    found, ids = claimed(5)
    again = compare_again(found, run_of)
    with pytest.raises(InputError, match="no listed verifier's"):
        again.signed(run_of, VerificationLevel.RE_RUN, STRANGER, DAY)
    signed = again.signed(run_of, VerificationLevel.RE_RUN, KEY, DAY)
    entry = found.entry
    assert not list(verification_problems(signed, entry.submission, entry.result, entry.points, signed.result_sha256))
    assert (signed.by, signed.fallen(Norm.L2)) == (NAME, frozenset(ids))
    lowered = replace(entry, verification=signed).standing()
    assert int(entry.standing()[Norm.L2].sum()) - int(lowered[Norm.L2].sum()) == 5
    assert lay(tmp_path, signed).read_bytes() == dump(signed)


def test_nobody_signs_for_an_entry_of_their_own(claimed, run_of, monkeypatch):
    monkeypatch.setattr("bench.submission.verification.tomorrow", lambda: DAY)
    found, _ = claimed()
    again = compare_again(found, run_of)
    own = found.entry.submission.model_copy(update={"authors": (NAME,)})
    with pytest.raises(SubmissionError, match="is an author of the entry"):
        replace(again, entry=replace(found.entry, submission=own)).signed(run_of, VerificationLevel.RE_RUN, KEY, DAY)
