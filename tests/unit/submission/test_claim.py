"""What others claim of a network they pruned stands beside what was measured, or is refused."""

import json
from fractions import Fraction

import pytest

from bench.site.build import build
from bench.site.entries import read
from bench.site.reproduce import commands
from bench.submission.check import problems
from bench.submission.claim import gaps
from bench.submission.files import canonical, dump, read_result
from bench.submission.schema import ClaimRecord
from tests.support.builders import write

THEIRS = {"id": "theirs", "recipe": "of others", "theirs": "LAMP + TRADES", "sparsity": Fraction(4, 5)}


def pruning(folder, **changes):
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["pruning"] |= changes
    path.write_bytes(canonical(result))
    return folder


def test_a_network_of_others_is_a_valid_entry_with_and_without_a_claim(tmp_path):
    assert problems(write(tmp_path / "silent", **THEIRS)) == []
    said = {"sparsity": "4/5", "structure": "unstructured"}
    assert problems(write(tmp_path / "claimed", **THEIRS, claim=said)) == []


@pytest.mark.parametrize("claimed", ["9/10", "3/4", "99/100"])
def test_a_claimed_sparsity_that_was_not_measured_is_refused_with_both_figures(tmp_path, claimed):
    found = " ".join(problems(write(tmp_path, **THEIRS, claim={"sparsity": claimed})))
    assert f"sparsity {float(Fraction(claimed)):.4g} is claimed, 0.7999 was measured" in found


@pytest.mark.parametrize(
    ("zeros", "claimed", "holds"),
    [
        (805, "4/5", True),  # half a percentage point off
        (806, "4/5", False),
        (990, "99/100", True),
        (995, "99/100", False),  # half a percentage point off, and half the weights
        (1000, "1", True),
        (999, "1", False),
    ],
)
def test_a_claim_is_held_to_what_is_printed_and_to_what_is_left(tmp_path, zeros, claimed, holds):
    measured = read_result(write(tmp_path, **THEIRS) / "result.json").pruning
    measured = measured.model_copy(update={"zeros": zeros, "prunable": 1000})
    assert (not list(gaps(ClaimRecord(sparsity=claimed, structure=None), measured))) == holds


@pytest.mark.parametrize(
    ("claimed", "measured", "holds"),
    [
        ("unstructured", "unstructured", True),
        ("unstructured", "2of4", True),
        ("2of4", "unstructured", False),
        ("channel", "unstructured", False),
        ("unstructured", "channel", False),
    ],
)
def test_a_claimed_structure_is_the_one_that_was_measured(tmp_path, claimed, measured, holds):
    found = read_result(write(tmp_path, **THEIRS) / "result.json").pruning.model_copy(update={"structure": measured})
    assert (not list(gaps(ClaimRecord(sparsity=None, structure=claimed), found))) == holds


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"recipe": "magnitude-global"}, "got both"),
        ({"method": None}, "got neither"),
        ({"target": "4/5"}, "has no target"),
        ({"scope": "global"}, "has no target, version or scope"),
        ({"version": 2}, "has no target, version or scope"),
        ({"structure": "dense"}, "no weight of its parent is gone"),
    ],
)
def test_a_recipe_is_ours_and_a_method_is_theirs(tmp_path, changes, expected):
    found = problems(pruning(write(tmp_path, **THEIRS), **changes))
    assert any(expected in problem for problem in found), found


def test_a_claim_or_a_silent_regime_beside_a_recipe_is_refused(tmp_path):
    folder = write(tmp_path, id="ours", recipe="magnitude-global", sparsity=Fraction(1, 2))
    found = problems(pruning(folder, claim={"sparsity": None, "structure": None}, regime=None))
    assert any("claim goes with a method" in problem for problem in found)
    assert any("regime is null" in problem for problem in found)


def test_a_network_of_others_names_its_parent(tmp_path):
    folder = write(tmp_path, **THEIRS)
    result = json.loads((folder / "result.json").read_text("utf-8"))
    result["model"]["parent"] = result["model"]["parent_sha256"] = None
    (folder / "result.json").write_bytes(canonical(result))
    assert any("measured against its dense parent" in problem for problem in problems(folder))


def test_a_result_without_the_fields_of_others_is_read_and_written_as_it_was(tmp_path):
    path = write(tmp_path, recipe="magnitude-global", sparsity=Fraction(1, 2)) / "result.json"
    written = path.read_bytes()
    assert b'"method"' not in written
    assert dump(read_result(path)) == written


def test_the_site_shows_claimed_and_measured_side_by_side(tmp_path):
    dense = write(tmp_path, id="small-dense")
    (dense / "verification.json").unlink()
    write(tmp_path, **THEIRS, claim={"sparsity": "4/5", "structure": None})
    files = build(tmp_path)
    page = files["entries/digits-v1/theirs/index.html"].decode()
    assert "Claimed and measured" in page
    assert "Handed in as a file, pruned by LAMP + TRADES as its authors say." in page
    assert '<th scope="row">sparsity %</th><td class="n">80.0</td><td class="n">80.0</td>' in page
    assert ">Method<" in files["boards/digits-v1-linf.html"].decode()
    catalogue = read(tmp_path)
    (entry,) = catalogue.parents
    spoken = commands(catalogue, entry).splitlines()[-1]
    assert "--parent embedded:small '--method=LAMP + TRADES' --sparsity 4/5" in spoken
    assert "--recipe" not in spoken
