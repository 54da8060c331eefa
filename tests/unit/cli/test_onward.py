"""A finished run says which commands may come next, and they run as they stand."""

import shlex
import shutil
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from bench.cli.main import run
from bench.cli.onward import onward
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load as rules
from bench.submission.files import canonical, read_result
from tests.support.builders import write


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def said(told, start):
    """Return the words of the one command that a sentence with this start names."""
    (line,) = [line for line in told.splitlines() if line.startswith(start)]
    program, *words = shlex.split(line.removeprefix(start))
    assert program == "bench"
    return words


def test_the_next_command_prunes_the_same_network_and_the_one_after_compares_both(tmp_path, capsys):
    tensors = load_file(str(resources.files("bench.models.embedded") / "digits-tiny-linf.safetensors"))
    save_file(tensors, "my net.safetensors")
    asked = ["--model", "my net.safetensors", "--arch", "digits-tiny", "--mean=0.125", "--std", "0.5"]
    asked += ["--protocol", "digits-smoke-v1", "--points", "0:3", "--threat", "Linf", "--seed", "7", "--out", "my run"]
    assert run(["evaluate", *asked]) == 0
    words = said(capsys.readouterr().err, "To see what pruning costs: ")
    assert run(words) == 0
    told = capsys.readouterr().err
    compare = said(told, "To hold it against its parent, point by point: ")
    assert compare[0] == "compare"
    assert compare[2] == "my run"
    pruned, dense = read_result(tmp_path / compare[1] / "result.json"), read_result(tmp_path / "my run" / "result.json")
    assert pruned.model.parent_sha256 == dense.model.weights_sha256
    assert (pruned.pruning.recipe, pruned.pruning.target) == ("magnitude-global", "9/10")
    for name in ("data", "protocol", "seed"):
        assert getattr(pruned, name) == getattr(dense, name)
    ours, theirs = (result.threats[0].robust for result in (pruned, dense))
    kept = f"{ours} of {theirs} ({100 * ours / theirs:.1f} %)"
    assert f"Robust points against those of its parent: Linf 1/10 {kept}." in told
    assert run(compare) == 0
    told = capsys.readouterr().out
    assert "3 points that both have" in told
    assert "kept %" in told


def test_a_parents_run_that_lies_beside_is_found_whatever_it_is_called(tmp_path):
    dense, sparse = (
        read_result(write(tmp_path, id=name, parent="net", **more) / "result.json")
        for name, more in (("anything", {}), ("child", {"recipe": "magnitude-global", "sparsity": Fraction(1, 2)}))
    )
    sparse = sparse.model_copy(
        update={"model": sparse.model.model_copy(update={"parent_sha256": dense.model.weights_sha256})}
    )
    folder = tmp_path / "digits-v1"
    asked = plan(
        Request(
            ModelRef.parse("embedded:digits-tiny-linf"), rules("digits-v1"), recipe="magnitude-global",
            sparsity=Fraction(1, 2), out=folder / "child",
        )
    )  # fmt: skip
    first, *rest = onward(asked, sparse, "digits-v1")
    assert first.endswith(f"bench compare {folder / 'child'} {folder / 'anything'}")
    assert rest == [f"To submit it: bench submission new {folder / 'child'} --author NAME --licence LICENCE"]
    # so is a published one, where none lies beside
    (tmp_path / "submissions" / "digits-v1").mkdir(parents=True)
    elsewhere = shutil.move(folder / "anything", tmp_path / "submissions" / "digits-v1" / "anything")
    assert next(onward(asked, sparse, "digits-v1")).endswith(" submissions/digits-v1/anything")
    shutil.move(elsewhere, folder / "anything")
    # one that was attacked under fewer norms says less
    less = dense.model_copy(update={"threats": dense.threats[:1]}).model_dump(mode="json", by_alias=True)
    (folder / "zzz").mkdir()
    (folder / "zzz" / "result.json").write_bytes(canonical(less))
    assert next(onward(asked, sparse, "digits-v1")) == first
    shutil.rmtree(folder / "zzz")
    (folder / "anything" / "result.json").write_bytes(
        (folder / "anything" / "result.json").read_bytes().replace(b'"standard"', b'"damaged"')
    )
    assert not any("compare" in sentence for sentence in onward(asked, sparse, "digits-v1"))


@pytest.fixture
def of_files(tmp_path):
    """Return how to tell what follows from the run of a pruned file beside that of its dense parent."""

    def make(size=100, **changes):
        for name in ("dense", "mine"):
            (tmp_path / f"{name}.safetensors").write_bytes(bytes(size))
        dense, pruned = (
            ModelRef.parse(f"{name}.safetensors", architecture="digits-tiny") for name in ("dense", "mine")
        )
        write(tmp_path / "runs", id="dense", parent="net")
        folder = write(tmp_path / "runs", id="child", theirs="x", recipe="of others", sparsity=Fraction(1, 2))
        result = read_result(folder / "result.json")
        digest = read_result(folder.with_name("dense") / "result.json").model.weights_sha256
        model = {"ref": "mine.safetensors", "parent": "dense.safetensors", "parent_sha256": digest}
        asked = Request(pruned, rules("digits-v1"), origin=Origin(dense, "x"), out=Path("runs/digits-v1/child"))
        told = result.model_copy(update={"model": result.model.model_copy(update=model)} | changes)
        return [line for line in onward(plan(asked), told, "digits-v1") if line.startswith("To submit it")]

    return make


def test_a_parent_that_is_a_file_is_handed_in_first_and_small_files_go_along(of_files):
    new = "bench submission new runs/digits-v1"
    first, second = of_files()
    assert first.startswith("To submit it, hand in its dense parent first, whose file nobody else has: bench ")
    assert first.endswith(f"{new}/dense --author NAME --licence LICENCE --weights dense.safetensors")
    assert second == f"To submit it: {new}/child --author NAME --licence LICENCE --weights mine.safetensors"


def test_a_large_file_is_told_where_it_lies(of_files):
    first, second = of_files(2**20 + 1)
    assert first.endswith("runs/digits-v1/dense --author NAME --licence LICENCE --locator ADDRESS")
    assert second.endswith("runs/digits-v1/child --author NAME --licence LICENCE --locator ADDRESS")


def test_a_network_that_learned_after_it_was_pruned_is_written_to_a_file_first(tmp_path):
    folder = write(tmp_path, id="child", recipe="magnitude-global", sparsity=Fraction(1, 2))
    result = read_result(folder / "result.json")
    learned = result.model_copy(update={"pruning": result.pruning.model_copy(update={"regime": "ft-adv"})})
    model = ModelRef.parse("embedded:digits-tiny-linf")
    asked = plan(Request(model, rules("digits-v1"), recipe="magnitude-global", sparsity=Fraction(1, 2), out=folder))
    (told,) = onward(asked, learned, "digits-v1")
    assert told.startswith("To submit it, write it to a file with bench prune and measure that")


@pytest.mark.parametrize("regimes", ["one-shot", "one-shot,ft,ft-adv"])
def test_a_sweep_says_before_it_begins_that_what_learns_is_submitted_as_a_file(capsys, tmp_path, regimes):
    asked = ["--models", "embedded:digits-tiny-linf", "--recipes", "magnitude-global", "--sparsities", "1/2"]
    assert run(["sweep", *asked, "--regimes", regimes, "--out", str(tmp_path / "s"), "--dry-run"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "learns after it is pruned" in line]
    assert len(told) == ("ft" in regimes)
    assert all("(ft, ft-adv)" in line and "`bench prune`" in line for line in told)
