"""Every problem of a submission is found, and a valid one has none."""

import json

import numpy as np
import pytest

from bench.cli.main import run
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import problems
from bench.submission.files import canonical
from bench.submission.points import read_points
from bench.submission.sample import sampled
from bench.submission.schema import Flag, Level
from tests.support.builders import Cell, cells, write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, witnesses=True)


TIMES = {"forward": [1e-5, 2e-5, 3e-5], "both": [2e-5, 4e-5, 6e-5]}
LATENCY = {"clock": "processor", "batch": 64, "repeats": 7, "parent": TIMES, "network": TIMES}
COLLAPSED = {"check": "collapse", "level": "withhold", "figure": 0.1, "threshold": 0.14, "says": "Collapsed."}
JOULES = [{"meter": "rapl", "joules": 1.0}] * 2


def rewrite(folder, **changes):
    """Change keys of result.json, by dotted path with __ for dots."""
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        *steps, last = key.split("__")
        place = result
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value(place[last]) if callable(value) else value
    path.write_bytes(canonical(result))


def change_points(folder, name="points.npz", **changes):
    arrays = read_arrays(folder / name)
    for key, change in changes.items():
        change(arrays[key.replace("__", "-")])
    (folder / name).write_bytes(pack_arrays(arrays))


def test_a_valid_submission_has_no_problem(folder):
    assert problems(folder) == []


def test_every_kind_of_synthetic_entry_is_valid(tmp_path):
    for cell in cells(16):
        assert problems(write(tmp_path, cell, witnesses=True)) == []


STOOD = {"robust": {"Linf": 3}, "forwards": 9, "parent": {"Linf": 3}}
"""What a scenario leaves, and the dense parent's own run."""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"standard": False, "deviations": ["--limit 10"]}, "not a standard run (--limit 10)"),
        ({"protocol__digest": "0" * 64}, "measure again"),
        ({"protocol__name": "digits-v9"}, "No protocol is called 'digits-v9'"),
        ({"seed": 1}, "fixes seed 0, got 1"),
        ({"data__digest": "0" * 64}, "expects data of digest"),
        ({"data__points": 400}, "asks for 500 points"),
        ({"clean__correct": lambda correct: correct + 1}, "should equal"),
        (
            {"clean__correct": 70},
            "70 of 500 points are correct, no more than guessing reaches (70.1), yet collapsed is",
        ),
        ({"flags": [COLLAPSED]}, "a flag names the network collapsed, yet collapsed is false"),
        ({"threats__0__robust": lambda robust: robust + 1}, "survive the cascade, the result says"),
        ({"threats__0__best_known": lambda best: best + 1}, "points have a larger distance, best_known says"),
        ({"threats__0__best_known": lambda best: best - 1}, "points have a larger distance, best_known says"),
        ({"threats__0__best_known": 490}, "best_known 490 exceeds robust"),
        ({"threats__0__epsilon": "1/5"}, "has the threats Linf 1/10"),
        (
            {"threats": lambda threats: threats[::-1]},
            "each once at most and in this order; got L0 2, L2 1/2, Linf 1/10",
        ),
        ({"threats": lambda threats: [*threats, threats[0]]}, "each once at most"),
        ({"threats": []}, "threats: Tuple should have at least 1 item"),
        ({"threats": lambda threats: threats[:2]}, "broken bits for L0, which the result does not measure"),
        ({"threats": lambda threats: threats[:2]}, "reads curves of the threats there, Linf at 0,"),
        ({"threats": lambda threats: threats[:2]}, "L0 was not attacked, yet scenarios.black-box counts it"),
        ({"scenarios": {}}, "measures black-box under every threat, Linf, L2, L0 is left out"),
        ({"scenarios__black-box__robust": {"Linf": 499}}, "black-box under every threat, L2, L0 is left out"),
        ({"model__parent_sha256": "1" * 64}, "measures transfer under every threat"),
        ({"threats__0__attacks__0__attempted": 3}, "tried 3 points"),
        ({"threats__0__attacks__0__forwards": 0}, "spent 0 forward passes on"),
        ({"threats__0__attacks__0__name": "noise"}, "in this order, got noise"),
        ({"curves__Linf__robust": lambda counts: [*counts[:-1], counts[0] + 1]}, "rises"),
        ({"curves__L2__robust": lambda counts: [counts[0], counts[1] + 1, *counts[2:]]}, "curves.L2 says"),
        ({"curves__L0__epsilon": lambda radii: [*radii[:-1], "60"]}, "reads curves of the threats there"),
        ({"scenarios": {"black-box": STOOD}}, "expected of transfer alone"),
        ({"scenarios": {"transfer": STOOD | {"parent": {"Linf": 501}}}}, "per norm, and at most 500"),
        ({"scenarios": {"transfer": STOOD | {"parent": {"L2": 3}}}}, "per norm, and at most 500"),
        ({"pruning__zeros": 5}, "pruning.zeros is 5"),
        ({"pruning__nonzero": 10**9}, "more than"),
        ({"pruning__nonzero_macs": 10**9}, "nonzero_macs ≤ macs"),
        ({"pruning__connected": 10**9}, "pruning.connected is 1000000000, more than"),
        ({"pruning__macs": lambda macs: macs - 1}, "cost.latency.parent goes with removed channels"),
        ({"model__normalisation": {"mean": [0.5], "std": [0.25]}}, "goes with a .safetensors file"),
        ({"model__ref": "net.safetensors"}, "goes with a .safetensors file"),
        ({"cost__latency": LATENCY}, "cost.latency.parent goes with removed channels"),
        ({"cost__latency": None}, "cost.latency is null, which only a record that was converted says"),
        ({"cost__forwards": 1}, "cost.forwards is 1, less than the"),
        ({"cost__backwards": 1}, "cost.backwards is 1, less than the"),
        ({"cost__seconds": 0.0}, "MACs take any processor at least"),
        ({"cost__seconds": 0.0, "cost__machine__accelerator": "Some GPU"}, "MACs take any accelerator at least"),
        ({"cost__energy": JOULES}, "cost.energy names a meter twice"),
        ({"cost__energy__0__joules": -1}, "cost.energy.0.joules"),
        ({"schema": "bench.result/1"}, "is a record of version 1, expected version 2; run `bench submission migrate`"),
        ({"pruning__structure": "channel"}, "channels are gone, yet"),
        ({"pruning__collapsed_layers": ["head"]}, "collapsed_layers"),
        ({"pruning__target": "1/2"}, "a dense model has no target"),
        ({"model__weights_sha256": "1" * 64}, "weights.sha256"),
        ({"cost__seconds": -0.0, "unknown": 1}, "unknown: Extra inputs"),
    ],
)
def test_a_changed_result_is_found(folder, changes, expected):
    rewrite(folder, **changes)
    assert any(expected in problem for problem in problems(folder)), problems(folder)


def test_all_problems_come_at_once(folder):
    rewrite(folder, seed=1, standard=False, pruning__zeros=5)
    (folder / "notes.txt").write_text("stray", "utf-8")
    assert len(problems(folder)) >= 4


def test_a_number_edited_by_hand_is_found(folder):
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8"))), "utf-8")
    assert any("never edited by hand" in problem for problem in problems(folder))


def test_a_broken_bit_that_vanishes_is_found(folder):
    def clear(bits):
        bits[np.flatnonzero(bits)[:1]] = False

    change_points(folder, broken_Linf_apgd__ce=clear)
    assert any("points are broken by apgd-ce" in problem for problem in problems(folder))


def test_a_robust_point_inside_the_ball_is_found(folder):
    def nearer(distance):
        distance[np.flatnonzero(distance > 0.2)[0]] = 0.01

    change_points(folder, distance_Linf=nearer)
    assert any("points have a larger distance, best_known says" in problem for problem in problems(folder))


def test_a_distance_without_a_witness_is_found(folder):
    def nearer(distance):
        distance[np.flatnonzero(np.isfinite(distance) & (distance > 0) & held)[0]] *= 0.5

    held = sampled(read_points(folder / "points.npz").id, (1, 8, 8))
    change_points(folder, distance_L2=nearer)
    found = problems(folder)
    assert any("does not lie at the distance" in problem for problem in found)


def test_a_misclassified_point_with_a_distance_is_found(folder):
    def lift(distance):
        distance[np.flatnonzero(distance == 0)[0]] = 0.3

    change_points(folder, distance_Linf=lift)
    assert any("must be 0 where the clean image is misclassified" in problem for problem in problems(folder))


def test_norms_that_contradict_each_other_are_found(tmp_path):
    folder = write(tmp_path)

    def longer(distance):
        distance[np.isfinite(distance) & (distance > 0)] *= 100

    change_points(folder, distance_Linf=longer)
    assert any("distance_Linf exceeds distance_L2" in problem for problem in problems(folder))


@pytest.mark.parametrize(("level", "allowed"), [("checked", True), ("re-run", False), ("reproduced", False)])
def test_whoever_runs_an_entry_again_has_the_points_that_are_held_out(tmp_path, level, allowed):
    missing = Flag(check="held-out", level=Level.WARN, figure=None, threshold=None, says="They are not at hand.")
    found = problems(write(tmp_path, protocol="cifar10-v1", level=level, flags=(missing,)))
    assert any("that the rules hold out were not at hand" in problem for problem in found) is not allowed
    seen = missing.model_copy(update={"figure": 0.04, "threshold": 0.03})
    again = problems(write(tmp_path / "again", protocol="cifar10-v1", level=level, flags=(seen,)))
    assert not any("hold out" in problem for problem in again)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "small-dense"', 'id = "other"', "expected the name of its folder, 'small-dense'"),
        ('locator = "embedded:small"', 'locator = "https://example.org/main/x.safetensors"', "is not pinned"),
        ('authors = ["A. Author", "B. Author"]', "authors = []", "authors is empty"),
        ('licence = "MIT"', 'licence = "MIT"\npaper = "javascript:alert(1)"', "is not an https address"),
    ],
)
def test_what_people_write_is_checked(folder, old, new, expected):
    path = folder / "submission.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    assert any(expected in problem for problem in problems(folder)), problems(folder)


def test_missing_files_are_named(tmp_path):
    folder = write(tmp_path, Cell(id="gone"))
    (folder / "points.npz").unlink()
    (folder / "submission.toml").unlink()
    found = " ".join(problems(folder))
    assert "points.npz" in found
    assert "submission.toml is missing" in found
    assert "is no folder" in problems(tmp_path / "nowhere")[0]


def test_a_folder_of_entries_is_told_from_an_entry(folder):
    protocol = folder.parent
    (protocol / "empty").mkdir()
    (found,) = problems(protocol)
    assert "is a folder of entries and no entry" in found
    assert found.endswith(f"such as {str(folder)!r}, or all of them: {protocol}/*")
    (found,) = problems(protocol.parent)
    assert found.endswith(f"such as {str(folder)!r}, or all of them: {protocol.parent}/*/*")
    assert len(problems(protocol / "empty")) == 4


def test_an_entry_with_another_inside_is_an_entry_with_a_stranger(folder):
    write(folder / "inside")
    (found,) = problems(folder)
    assert "'inside' does not belong into a submission" in found


def test_the_command_says_which_kind_of_end_it_was(folder, capsys):
    assert run(["submission", "check", str(folder)]) == 0
    rewrite(folder, seed=7)
    assert run(["submission", "check", str(folder)]) == 3
    assert "fixes seed 0, got 7" in capsys.readouterr().out
