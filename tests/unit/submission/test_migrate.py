"""Records of version 1 are converted once, and say what they said; nothing else is touched."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import run
from bench.errors import SubmissionError
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import problems
from bench.submission.files import canonical, read_result
from bench.submission.migrate import NEW, OLD, migrate
from bench.submission.points import read_points
from bench.threats import Norm
from tests.support.builders import write

KEPT = Path(__file__).parents[2] / "support" / "version1" / "digits-cnn-linf--l2-inner-50"


@pytest.fixture
def old(tmp_path):
    """Return an entry as version 1 wrote it, without its witnesses."""
    return Path(shutil.copytree(KEPT, tmp_path / KEPT.name))


def counts(folder):
    told = json.loads((folder / "result.json").read_text("utf-8"))
    return {threat["norm"]: threat for threat in told["threats"]}


def downgrade(folder):
    """Write a converted entry as version 1 did: what stands is ``robust``, and the rest of it is a row ``pooled``."""
    told = json.loads((folder / "result.json").read_text("utf-8"))
    points, arrays = read_points(folder / "points.npz"), read_arrays(folder / "points.npz")
    for threat, record in zip(told["threats"], read_result(folder / "result.json").threats, strict=True):
        taken = points.robust(record.norm) & ~points.standing(record.norm, record.radius)
        lent = threat["robust"] - threat["best_known"]
        row = {"attempted": lent, "broken": lent, "rejected": 0, "forwards": 0, "backwards": 0}
        threat["attacks"].append({"name": "pooled"} | row)
        threat["robust"] = threat.pop("best_known")
        arrays[f"broken_{record.norm}_pooled"] = np.ascontiguousarray(taken)
    machine = told["cost"].pop("machine")
    told["environment"] |= {"device": machine["accelerator"] or "cpu", "threads": str(machine["threads"])}
    told.pop("converted")
    (folder / "result.json").write_bytes(canonical(told | {"schema": OLD}))
    (folder / "points.npz").write_bytes(pack_arrays(arrays))


def test_an_old_folder_is_refused_with_what_to_run(old, capsys):
    assert run(["submission", "check", str(old)]) == 3
    says = "result.json is a record of version 1, expected version 2; run `bench submission migrate` on its folder"
    assert says in capsys.readouterr().out
    with pytest.raises(SubmissionError, match="bench submission migrate"):
        read_result(old / "result.json")


def test_the_headline_stays_and_the_cascades_own_count_stands_beside_it(old, capsys):
    before = counts(old)
    assert run(["submission", "migrate", str(old)]) == 0
    assert capsys.readouterr().out.strip() == f"{old}: converted."
    after, points = counts(old), read_points(old / "points.npz")
    assert sum(after[norm]["robust"] > after[norm]["best_known"] for norm in after) > 0
    for norm, threat in after.items():
        assert threat["best_known"] == before[norm]["robust"]
        assert threat["robust"] - threat["best_known"] == before[norm]["attacks"][-1]["broken"]
        assert threat["attacks"] == before[norm]["attacks"][:-1]
        assert "pooled" not in points.attacks(Norm(norm))
    assert read_result(old / "result.json").converted == OLD
    told = problems(old)
    assert any("converted from bench.result/1, which is kept to be read; measure again" in problem for problem in told)
    assert run(["submission", "migrate", str(old)]) == 0, "a second time changes nothing"
    assert capsys.readouterr().out.strip() == f"{old}: is of version 2 already."


def test_the_way_back_gives_the_old_bytes_and_the_way_forth_the_new_ones(old):
    migrate(old)
    new = {path.name: path.read_bytes() for path in old.iterdir()}
    downgrade(old)
    assert json.loads((old / "result.json").read_text("utf-8"))["schema"] == OLD
    assert counts(old) == counts(KEPT)
    for path in old.iterdir():
        assert path.read_bytes() == (KEPT / path.name).read_bytes(), path.name
    assert migrate(old)
    assert {path.name: path.read_bytes() for path in old.iterdir()} == new


def test_what_somebody_verified_is_not_changed_behind_their_back(old):
    (old / "verification.json").write_text("{}", "utf-8")
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    with pytest.raises(SubmissionError, match="have it verified anew"):
        migrate(old)
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before


def edit(change):
    def spoil(old):
        told = json.loads((old / "result.json").read_text("utf-8"))
        change(told)
        (old / "result.json").write_bytes(canonical(told))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (edit(lambda told: told["threats"][0].update(robust=1)), "do not agree, so nothing is converted"),
        (edit(lambda told: told["threats"][0].pop("robust")), "is no record of version 1"),
        (edit(lambda told: told.update(threats=3)), "is no record of version 1"),
        (edit(lambda told: told["environment"].update(threads="many")), "is no record of version 1"),
        (edit(lambda told: told.update(schema="bench.result/0")), "schema: Input should be"),
        (lambda old: (old / "result.json").write_bytes(b"[" * 100_000), "result.json"),
        (lambda old: (old / "points.npz").write_bytes(b"PK"), "points.npz"),
        (lambda old: (old / "points.npz").unlink(), "points.npz is missing"),
    ],
)
def test_a_damaged_folder_is_left_as_it_is(old, spoil, says):
    spoil(old)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    with pytest.raises(SubmissionError, match=says):
        migrate(old)
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before


def test_a_record_of_this_version_needs_nothing(tmp_path):
    folder = write(tmp_path)
    assert json.loads((folder / "result.json").read_text("utf-8"))["schema"] == NEW
    assert not migrate(folder)
