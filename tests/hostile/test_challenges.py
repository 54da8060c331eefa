"""What is added beside a published entry to lower it or to take it away, and by whom."""

import json
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest

from bench.cli.main import run
from bench.site import pages
from bench.site.entries import read
from bench.submission.arrays import pack_arrays
from bench.submission.challenge import NAME, Challenge
from bench.submission.check import examine, problems
from bench.submission.files import canonical, dump
from bench.submission.people import tomorrow
from bench.submission.pull import Change, pull_problems
from bench.threats import Norm
from tests.support.builders import write
from tests.support.challenging import DAY, lay, standing
from tests.support.signers import LOST, OLD, STRANGER
from tests.support.signers import NAME as VERIFIER


@pytest.fixture
def entry(tmp_path):
    write(tmp_path, id="dense")
    return write(tmp_path, id="pruned", recipe="magnitude-global", sparsity=Fraction(1, 2), strength=1.4)


def board(entry):
    catalogue = read(entry.parent.parent)
    return catalogue, next(one for one in catalogue if one.id == entry.name)


def test_what_a_verifier_confirmed_lowers_the_entry_and_nobody_else(entry):
    catalogue, before = board(entry)
    other = {norm: one.survivors(norm) for one in catalogue if one.id == "dense" for norm in Norm}
    lay(entry)
    lay(entry, "again", fallen={Norm.LINF: standing(entry)[:1], Norm.L2: standing(entry, Norm.L2)[:3]})
    assert not problems(entry)
    catalogue, after = board(entry)
    assert {norm: before.survivors(norm) - after.survivors(norm) for norm in Norm} == {
        Norm.LINF: 3, Norm.L2: 3, Norm.L0: 0,
    }  # fmt: skip
    assert {norm: one.survivors(norm) for one in catalogue if one.id == "dense" for norm in Norm} == other
    assert after.level == before.level
    assert catalogue.unranked(after) is None
    assert catalogue.updated == DAY


def test_measuring_a_network_again_makes_no_witness_undone(entry):
    """Its authors may replace what was lowered; the points that fell are those of the same weights."""
    fell = standing(entry)[:2]
    lay(entry, fallen={Norm.LINF: fell})
    pruned = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2), "strength": 1.4, "lottery": 5}
    again = write(entry.parent.parent, id="again", weights="pruned", supersedes="pruned", **pruned)
    stood = len(set(standing(again)) & set(fell))
    assert stood
    catalogue, heir = board(again)
    assert heir.survivors(Norm.LINF) == len(standing(again)) - stood
    told = pages.entry(catalogue, heir).context["verified"]
    assert (
        "Of pruned, which had these weights, points fell (2 under Linf), as A. Maintainer signed on 2026-03-10" in told
    )
    write(entry.parent.parent, id="other", supersedes="again", **pruned | {"lottery": 6})
    _, other = board(entry.parent / "other")
    assert other.survivors(Norm.LINF) == len(standing(entry.parent / "other"))


def test_witnesses_that_nobody_signed_for_wait(entry):
    before = standing(entry)
    lay(entry)
    (entry / "challenge-deep.json").unlink()
    assert not problems(entry)
    assert standing(entry) == before


FORGED = {
    "nobody signed": ({"key": None}, "it is not signed"),
    "a stranger signed": ({"key": STRANGER}, "signature is not that of"),
    "a key of the past": ({"key": OLD, "by": LOST}, "no listed verifier"),
    "somebody unknown": ({"by": "Nobody"}, "no listed verifier"),
    "another entry": ({"entry": "dense"}, "entry is 'dense'"),
    "another result": ({"result_sha256": "0" * 64}, "result_sha256 is"),
    "another network": ({"weights_sha256": "0" * 64}, "weights_sha256 is"),
    "other witnesses": ({"witnesses_sha256": "0" * 64}, "other witnesses than those beside it"),
    "another name": ({"name": "deeper"}, "other witnesses than those beside it"),
    "before the submission": ({"date": date(2026, 2, 1)}, "before the submission"),
    "in the future": ({"date": tomorrow() + timedelta(days=1)}, "in the future"),
    "points that are none": ({"fallen": {Norm.LINF: [10**9]}}, "that do not stand"),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGED, ids=lambda name: name.replace(" ", "-"))
def test_a_forged_challenge_counts_for_nothing(entry, forgery):
    changes, says = FORGED[forgery]
    lay(entry, **changes)
    assert any(says in problem for problem in problems(entry))


def test_a_point_that_had_fallen_cannot_fall_again(entry):
    folder, _ = examine(entry)
    fell = sorted(set(folder.points.id.tolist()) - set(standing(entry)))[:1]
    lay(entry, fallen={Norm.LINF: fell})
    assert any("that do not stand" in problem for problem in problems(entry))


def test_an_edited_record_is_refused(entry):
    lay(entry)
    path = entry / "challenge-deep.json"
    path.write_text(path.read_text("utf-8").replace('"fallen": [', '"fallen":  ['), "utf-8")
    assert any("never edited by hand" in problem for problem in problems(entry))
    one_more = json.loads(path.read_text("utf-8"))
    one_more["threats"][0]["fallen"] = standing(entry)[:5]
    path.write_bytes(canonical(one_more))
    assert any("signature is not that of" in problem for problem in problems(entry))


def test_the_signature_of_a_verification_is_none_of_a_challenge(entry):
    made = lay(entry)
    signature = json.loads((entry / "verification.json").read_text("utf-8"))["signature"]
    path = entry / "challenge-deep.json"
    path.write_bytes(dump(made.model_copy(update={"signature": signature})))
    assert any("signature is not that of" in problem for problem in problems(entry))


ID, IMAGE = np.arange(2), np.zeros((2, 1, 8, 8), np.float32)
ARRAYS = {
    "no image": {"id": ID},
    "one array more": {"id": ID, "image": IMAGE, "x": ID},
    "other numbers": {"id": ID, "image": IMAGE.astype(np.float64)},
    "other ids": {"id": ID.astype(np.float32), "image": IMAGE},
    "another count": {"id": np.arange(3), "image": IMAGE},
    "none": {"id": ID[:0], "image": IMAGE[:0]},
    "flat": {"id": ID, "image": IMAGE.reshape(2, 64)},
    "NaN": {"id": ID, "image": IMAGE * np.nan},
    "too bright": {"id": ID, "image": IMAGE + 2},
    "a bomb": {"id": np.arange(22_000), "image": np.zeros((22_000, 3, 16, 16), np.float32)},
}  # fmt: skip


@pytest.mark.parametrize("arrays", ARRAYS.values(), ids=ARRAYS)
def test_witnesses_that_are_none_are_refused(entry, arrays):
    (entry / "challenge-deep.npz").write_bytes(pack_arrays(arrays))
    assert any("challenge-deep.npz" in problem for problem in problems(entry))


def test_a_record_without_its_witnesses_is_refused(entry):
    lay(entry)
    (entry / "challenge-deep.npz").unlink()
    assert any("its witnesses, is missing" in problem for problem in problems(entry))


def test_no_entry_is_buried_under_challenges(entry):
    for number in range(17):
        (entry / f"challenge-{number}.npz").write_bytes(pack_arrays({"id": ID, "image": IMAGE}))
    assert any("17 challenges lie there" in problem for problem in problems(entry))


@pytest.mark.parametrize("name", ["challenge-.npz", "challenge-A.npz", "challenge-a.py", f"challenge-{'a' * 41}.npz"])
def test_no_other_file_passes_for_a_challenge(entry, name):
    assert not NAME.fullmatch(name)
    (entry / name).write_bytes(b"x")
    assert any("does not belong into a submission" in problem for problem in problems(entry))


def test_a_challenge_speaks_of_itself_in_its_schema():
    assert Challenge.model_json_schema()["properties"]["schema"]["const"] == "bench.challenge/1"


PULLED = "submissions/digits-v1/pruned/"


@pytest.mark.parametrize("file", ["challenge-a.npz", "challenge-a.json", "withdrawal.toml", "verification.json"])
def test_a_pull_request_may_add_what_is_said_of_an_entry_and_change_none_of_it(file):
    assert not list(pull_problems([Change("A", PULLED + file)]))
    assert list(pull_problems([Change("D", PULLED + file)]))
    changed = list(pull_problems([Change("M", PULLED + file)]))
    assert bool(changed) == (file != "verification.json")


def withdrawn(entry, /, **changes):
    said = {
        "schema": "bench.withdrawal/1",
        "entry": "pruned",
        "by": "B. Author",
        "date": DAY,
        "reason": "Wrong.",
    } | changes
    lines = [f"{key} = {value if key == 'date' else json.dumps(value)}" for key, value in said.items()]
    (entry / "withdrawal.toml").write_text("\n".join(lines) + "\n", "utf-8")


def test_a_withdrawn_entry_keeps_its_page_and_no_rank(entry):
    catalogue, one = board(entry)
    assert catalogue.unranked(one) is None
    withdrawn(entry)
    assert not problems(entry)
    catalogue, one = board(entry)
    assert catalogue.unranked(one) == f"withdrawn by B. Author on {DAY}"
    assert not catalogue.current(one)
    assert not any(one in found.places for found in catalogue.boards)


REFUSED = {
    "a stranger": {"by": "C. Stranger"},
    "another entry": {"entry": "dense"},
    "before it was there": {"date": date(2026, 2, 1)},
    "the future": {"date": tomorrow() + timedelta(days=1)},
    "no reason": {"reason": ""},
    "script": {"reason": "\u202e<script>"},
    "one key more": {"level": "re-run"},
}  # fmt: skip


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_who_may_not_withdraw_an_entry_does_not(entry, changes):
    withdrawn(entry, **changes)
    assert any("withdrawal.toml" in problem for problem in problems(entry))


def test_a_verifier_may_withdraw_what_cannot_be_kept_and_once(entry, capsys):
    words = ["submission", "withdraw", str(entry), "--by", VERIFIER, "--reason", "It is somebody else's."]
    assert run(words) == 0
    assert not problems(entry)
    assert run(words) == 2
    assert "withdrawn once" in capsys.readouterr().err
