"""What a stranger hands in is refused in a sentence, quickly, in little memory, and hides nothing of its neighbours."""

import json
import os
import re
import socket
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import run
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import problems
from bench.submission.files import canonical
from bench.submission.points import read_points
from tests.support.builders import write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, witnesses=True)


def test_a_file_that_is_too_large_is_not_read(folder):
    for name, most in (("witnesses.npz", 4), ("points.npz", 16), ("result.json", 2), ("submission.toml", 1)):
        with (folder / name).open("r+b") as file:
            file.truncate(most * 2**20 + 1)
    found = " ".join(problems(folder))
    for name in ("witnesses.npz", "points.npz", "result.json", "submission.toml"):
        assert f"{name} has " in found


def link(path, folder):
    path.symlink_to("/etc/passwd")


def device(path, folder):
    path.symlink_to("/dev/zero")


def pipe(path, folder):
    os.mkfifo(path)


def directory(path, folder):
    path.mkdir()


def bound(path, folder):
    here = Path.cwd()
    os.chdir(folder)  # the name of a socket is short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def nothing(path, folder):
    path.symlink_to("nowhere")


KINDS = {link: "a symbolic link", device: "a symbolic link", pipe: "a named pipe", directory: "a folder",
         bound: "a socket", nothing: "a symbolic link"}  # fmt: skip


@pytest.mark.parametrize("name", ["submission.toml", "result.json", "points.npz", "witnesses.npz", "verification.json"])
@pytest.mark.parametrize("put", KINDS, ids=lambda put: put.__name__)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_only_regular_files_are_read(folder, name, put):
    (folder / name).unlink()
    put(folder / name, folder)
    found = problems(folder)
    assert any(f"{name} is {KINDS[put]}; expected a regular file" in problem for problem in found), found


def test_a_real_device_is_not_read(folder):
    (folder / "result.json").unlink()
    try:
        os.mknod(folder / "result.json", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    assert any("result.json is a device" in problem for problem in problems(folder))


def test_a_link_to_a_submission_is_none(folder, tmp_path):
    (tmp_path / "digits-v1" / "linked").symlink_to(folder)
    assert problems(tmp_path / "digits-v1" / "linked") == [
        f"'{tmp_path}/digits-v1/linked' is a symbolic link; expected a folder that holds submission.toml."
    ]


@pytest.mark.parametrize("put", [pipe, nothing, device], ids=lambda put: put.__name__)
def test_quoted_figures_come_from_a_regular_file(tmp_path, put):
    put(tmp_path / "quoted.toml", tmp_path)
    assert any("expected a regular file" in problem for problem in problems(tmp_path / "quoted.toml"))


def test_ten_thousand_strange_files_are_told_in_a_few_lines(folder):
    for number in range(10_000):
        (folder / f"{number}\x1b[31m").touch()
    found = problems(folder)
    assert len(found) == 11
    assert found[-1].startswith("9990 more names")


RECORDS = {
    "brackets without end": (b"[" * 100_000, "result.json: file: Invalid JSON"),
    "a count of 401 digits": (b"seed", f"1{'0' * 400}".encode()),
    "a count of 5,000 digits": (b'{"seed": ' + b"9" * 5000 + b"}", "number out of range"),
    "no UTF-8": (b"\xff\xfe{}", "result.json: file: Invalid JSON"),
    "nothing": (b"", "result.json: file: Invalid JSON"),
    "a number": (b"7", "result.json: file: Input should be an object"),
    "a NaN": (b"seconds", b"NaN"),
    "an infinity": (b"seconds", b"Infinity"),
    "minus infinity": (b"seconds", b"-1e999"),
    "a negative time": (b"seconds", b"-1.0"),
}
"""What is written in place of a record, or of one of its figures, and what names it."""


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_that_is_out_of_bounds_is_refused(folder, what):
    first, second = RECORDS[what]
    path = folder / "result.json"
    if isinstance(second, bytes):
        path.write_bytes(re.sub(rb'("%s": )[0-9.]+' % first, rb"\g<1>" + second, path.read_bytes()))
        second = first.decode()
    else:
        path.write_bytes(first)
    found = problems(folder)
    assert any(second in problem for problem in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = " + "[" * 20_000, "not TOML"),
        ("a = " + "{ b = " * 5_000, "not TOML"),
        ("a" + ".a" * 20_000 + " = 1", "submission.toml"),
        ("date = " + "9" * 6000, "not TOML"),
        ("bytes = nan", "submission.toml"),
        ("day = 12:30:00", "has no place in a submission"),
        ("x = 1\nx = 2", "not TOML"),
        ("\x00", "not TOML"),
    ],
    ids=lambda text: text[:12],
)
def test_toml_that_is_deep_long_or_wrong_is_refused(folder, text, expected):
    (folder / "submission.toml").write_text(text, "utf-8")
    assert any(expected in problem for problem in problems(folder)), problems(folder)


def test_a_verification_that_says_something_twice_is_refused(folder):
    path = folder / "verification.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"level":', '"level": "reproduced", "level":'), "utf-8")
    assert any("verification.json: not as the benchmark writes it" in problem for problem in problems(folder))


def change(folder, *path, value):
    result = json.loads((folder / "result.json").read_text("utf-8"))
    place = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value(place[path[-1]]) if callable(value) else value
    (folder / "result.json").write_bytes(canonical(result))


FORGED = {
    "a headline above what the distances leave": (
        lambda told: told["threats"][0].update(best_known=told["threats"][0]["best_known"] + 5),
        "points have a larger distance, best_known says",
    ),
    "the cascade's own count as the headline": (
        lambda told: told["threats"][1].update(best_known=told["threats"][1]["robust"]),
        "points have a larger distance, best_known says",
    ),
    "a headline above the cascade's own count": (
        lambda told: told["threats"][2].update(best_known=499), "best_known 499 exceeds robust",
    ),
    "a cascade that broke less than its bits": (
        lambda told: told["threats"][0].update(robust=told["threats"][0]["robust"] + 5),
        "survive the cascade, the result says",
    ),
    "fewer broken points and so more robust ones": (
        lambda told: (
            told["threats"][0].update(robust=told["threats"][0]["robust"] + 5),
            told["threats"][0]["attacks"][0].update(broken=told["threats"][0]["attacks"][0]["broken"] - 5),
        ),
        "points are broken by apgd-ce, the result says",
    ),
    "points that a cascade spared because others had broken them": (
        lambda told: told["threats"][1]["attacks"][0].update(attempted=300), "apgd-ce tried 300 points, expected",
    ),
    "a norm left out with its curve and scenario, not with its bits": (
        lambda told: (told["threats"].pop(), told["curves"].pop("L0"),
                      told["scenarios"]["black-box"]["robust"].pop("L0")),
        "broken bits for L0, which the result does not measure",
    ),
    "a curve above the headline at its radius": (
        lambda told: told["curves"]["Linf"]["robust"].__setitem__(5, told["curves"]["Linf"]["robust"][5] + 1),
        "points have Linf distance above 1/10",
    ),
    "a record that says it was converted to be let off": (
        lambda told: (told.update(converted="bench.result/1"),), "converted from bench.result/1, which is kept to be",
    ),
    "one pass at a point that stood": (
        lambda told: told["threats"][0]["attacks"][0].update(forwards=told["threats"][0]["attacks"][0]["attempted"]),
        "of which stood through 100 steps",
    ),
    "less passes in all than its attacks took": (
        lambda told: told["cost"].update(forwards=1), "cost.forwards is 1, less than the",
    ),
    "less passes back than its attacks took": (
        lambda told: told["cost"].update(backwards=0), "cost.backwards is 0, less than the",
    ),
    "joules below nothing": (
        lambda told: told["cost"].update(energy=[{"meter": "rapl", "joules": -5.0}]), "cost.energy.0.joules",
    ),
    "a meter of one's own": (
        lambda told: told["cost"].update(energy=[{"meter": "socket", "joules": 5.0}]), "cost.energy.0.meter",
    ),
}  # fmt: skip


def test_points_of_other_ids_are_refused(folder):
    points = read_points(folder / "points.npz")
    (folder / "points.npz").write_bytes(replace(points, id=points.id + 10**6).pack())
    assert any("ids go from 1000000 to 1000499, the rules' from 0 to 499" in problem for problem in problems(folder))


@pytest.mark.parametrize("what", FORGED)
def test_counts_that_the_points_do_not_bear_out_are_refused(folder, what):
    forge, expected = FORGED[what]
    told = json.loads((folder / "result.json").read_text("utf-8"))
    forge(told)
    (folder / "result.json").write_bytes(canonical(told))
    found = problems(folder)
    assert any(expected in problem for problem in found), found
    assert run(["submission", "check", str(folder)]) == 3


def test_distances_lifted_out_of_the_ball_are_refused(folder):
    """The headline comes from the distances, so that is what a forger would lift; the witnesses lie where they lie."""
    arrays = read_arrays(folder / "points.npz")
    told = json.loads((folder / "result.json").read_text("utf-8"))
    inside = (arrays["distance_Linf"] > 0) & (arrays["distance_Linf"] < 0.1)
    for name in [name for name in arrays if name.startswith("broken_Linf")]:
        inside &= ~arrays[name]
    assert inside.sum() > 1, "no point fell to a witness from elsewhere alone"
    arrays["distance_Linf"][inside] = 0.11
    threat = told["threats"][0]
    threat["best_known"] = threat["robust"]
    told["curves"]["Linf"]["robust"] = [
        int((arrays["distance_Linf"] > np.float32(float(Fraction(radius)) * (1 + 1e-5))).sum())
        for radius in told["curves"]["Linf"]["epsilon"]
    ]
    (folder / "points.npz").write_bytes(pack_arrays(arrays))
    (folder / "result.json").write_bytes(canonical(told))
    found = problems(folder)
    assert any("a Linf witness does not lie at the distance" in problem for problem in found), found


BOUNDS = {
    "no prunable weight": (("pruning", "prunable"), 0, "pruning.prunable"),
    "a layer without a weight": (("pruning", "layers", 0, "weights"), 0, "pruning.layers.0.weights"),
    "a side below zero": (("pruning", "layers", 0, "shape"), [-16, -1, 3, 3], "pruning.layers.0.shape"),
    "no parameters": (("pruning", "parameters"), 0, "pruning.parameters"),
    "no layers": (("pruning", "layers"), [], "pruning.layers"),
    "a layer twice": (("pruning", "layers"), lambda layers: [*layers, layers[0]], "2 layers are called 'conv1'"),
    "2**53 operations": (("pruning", "parent_macs"), 2**53, "pruning.parent_macs"),
    "no points": (("data", "points"), 0, "data.points"),
    "a million points": (("data", "points"), 10**6, "data.points"),
    "no classes": (("data", "classes"), [], "data.classes"),
    "a radius of 5,000 digits": (("threats", 0, "epsilon"), "9" * 5000, "threats.0.epsilon"),
    "a radius in other digits": (("threats", 0, "epsilon"), "١/٢", "threats.0.epsilon"),
    "an invented scenario": (
        ("scenarios", "blindfolded"), {"robust": {"Linf": 1}, "forwards": 1}, "measures the scenarios",
    ),
    "a flag of no check": (
        ("flags",), [{"check": "charm", "level": "inform", "figure": None, "threshold": None, "says": "Nice."}],
        "names no check 'charm'",
    ),
    "a thousand flags": (
        ("flags",), [{"check": "collapse", "level": "inform", "figure": None, "threshold": None, "says": "."}] * 1000,
        "flags: Tuple should have at most 64",
    ),
    "a row for witnesses from elsewhere": (
        ("threats", 0, "attacks"), lambda attacks: [*attacks, attacks[-1] | {"name": "pooled", "broken": 0}],
        "in this order, got apgd-ce, apgd-t, fab-t, square, fmn, pooled",
    ),
    "a machine described in a novel": (
        ("environment",), {f"key {number}": "x" for number in range(100)}, "environment",
    ),
    "a fact without a name": (("environment",), {"\x1b[2J": "x"}, "environment"),
    "a mean without end": (
        ("model", "normalisation"), {"mean": [0.5] * 100, "std": [0.5]}, "model.normalisation.mean",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BOUNDS)
def test_counts_and_names_have_bounds(folder, what):
    path, value, expected = BOUNDS[what]
    change(folder, *path[:-1], path[-1], value=value) if path[0] != "scenarios" else change(
        folder, "scenarios", value={path[1]: value}
    )
    found = problems(folder)
    assert any(expected in problem for problem in found), found


def test_one_bad_folder_hides_no_report_of_the_others(folder, tmp_path, capsys):
    pipes, good, gone = tmp_path / "pipes", write(tmp_path / "good"), tmp_path / "gone"
    pipes.mkdir()
    os.mkfifo(pipes / "result.json")
    change(folder, "seed", value=9)
    assert run(["submission", "check", str(pipes), str(gone), str(good), str(folder)]) == 3
    told = capsys.readouterr()
    assert f"{pipes}: result.json is a named pipe" in told.out
    assert f"{gone}: " in told.out
    assert f"{folder}: result.json: digits-v1 fixes seed 0, got 9." in told.out
    assert str(good) not in told.out
    assert "4 checked, 1 without a problem." in told.err


def test_an_honest_entry_that_no_attack_broke_passes(tmp_path):
    folder = write(tmp_path, strength=1e6, witnesses=True)
    arrays = read_arrays(folder / "points.npz")
    correct = arrays["prediction"] == arrays["label"]
    for name, values in arrays.items():
        if name.startswith("distance"):
            values[correct] = np.inf
        elif name.startswith("broken"):
            values[:] = False
    (folder / "points.npz").write_bytes(pack_arrays(arrays))
    result = json.loads((folder / "result.json").read_text("utf-8"))
    for threat in result["threats"]:
        threat["robust"] = threat["best_known"] = int(correct.sum())
        for attack in threat["attacks"]:
            attack |= {"attempted": int(correct.sum()), "broken": 0}
    for curve in result["curves"].values():
        curve["robust"] = [int(correct.sum())] * len(curve["robust"])
    (folder / "result.json").write_bytes(canonical(result))
    (folder / "verification.json").unlink()
    empty = {f"id_{norm}": np.zeros(0, np.int64) for norm in ("Linf", "L2", "L0")}
    empty |= {
        f"{part}_{norm}": np.zeros((0, 1, 8, 8), np.float32)
        for norm in ("Linf", "L2", "L0")
        for part in ("image", "clean")
    }
    (folder / "witnesses.npz").write_bytes(pack_arrays(empty))
    assert problems(folder) == []
    assert run(["site", "build", "--submissions", str(tmp_path), "--out", str(tmp_path / "site")]) == 0
    assert run(["site", "check", str(tmp_path / "site")]) == 0
