"""A network that others pruned is measured against its dense parent, and no claim passes that was not measured."""

import json
from fractions import Fraction
from importlib import resources

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import Result
from bench.cli.main import run
from bench.models.source import ModelRef, load
from bench.submission.files import read_result
from bench.submission.score import rate
from bench.threats import Norm

PARENT = "embedded:digits-cnn-linf"
SMOKE = ["--protocol", "digits-smoke-v1", "--limit", "10"]
THEIRS = ["--model", "mine.safetensors", "--arch", "digits-cnn", "--parent", PARENT, "--method", "LAMP + TRADES"]


def prune_elsewhere(share: Fraction) -> None:
    """Prune as a user would who has never heard of this benchmark: plain tensors, one threshold."""
    tensors = load_file(str(resources.files("bench.models.embedded") / "digits-cnn-linf.safetensors"))
    weights = [name for name, tensor in tensors.items() if tensor.ndim > 1]
    sizes = torch.cat([tensors[name].abs().flatten() for name in weights]).sort().values
    bar = sizes[int(share * len(sizes))]
    save_file(
        {key: torch.where(t.abs() < bar, 0.0, t) if key in weights else t for key, t in tensors.items()},
        "mine.safetensors",
    )


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    """Work in one folder that holds the pruned file; what a test measures there the next one finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("claims"))
        prune_elsewhere(Fraction(4, 5))
        yield


def test_parent_sparsity_transfer_and_claim_stand_in_the_result(capsys, tmp_path):
    out = ["--out", str(tmp_path / "mine"), "--json"]
    assert run(["evaluate", *THEIRS, *SMOKE, "--sparsity", "0.8", "--regime", "ft-adv", *out]) == 0
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith("Cannot be submitted")]
    assert lines[0].startswith(f"No run of the dense parent {PARENT} under these rules is at hand: it is measured")
    assert lines[1].startswith("If every point stood to the end: ")
    assert "backward passes, about " in lines[1]
    result = read_result(tmp_path / "mine" / "result.json")
    dense = load(ModelRef.parse(PARENT))
    assert (result.model.ref, result.model.parent) == ("mine.safetensors", PARENT)
    assert result.model.parent_sha256 == dense.digest != result.model.weights_sha256
    pruning = result.pruning
    assert (pruning.recipe, pruning.method, pruning.regime) == (None, "LAMP + TRADES", "ft-adv")
    assert (pruning.structure, pruning.claim.sparsity, pruning.target) == ("unstructured", "4/5", None)
    assert rate(pruning.zeros, pruning.prunable) == pytest.approx(0.8, abs=1e-4)
    assert result.scenarios["transfer"].forwards > 0
    assert not [reason for reason in result.deviations if "parent" in reason]
    beside = read_result(tmp_path / "digits-cnn-linf--dense--points-0-10" / "result.json")
    assert beside.model.weights_sha256 == result.model.parent_sha256
    assert [threat.norm for threat in beside.threats] == [threat.norm for threat in result.threats]
    assert result.scenarios["transfer"].parent == {threat.norm: threat.robust for threat in beside.threats}
    assert Result.read(tmp_path / "mine").retention("Linf") == Fraction(
        result.threat(Norm.LINF).robust, beside.threat(Norm.LINF).robust
    )
    assert json.loads(said.out)["pruning"]["method"] == "LAMP + TRADES"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--sparsity", "0.9"], 5, "sparsity 0.9 is claimed, 0.8 was measured (43891 zeros of 54864 prunable weights)"),
        (["--compression", "4"], 5, "sparsity 0.75 is claimed, 0.8 was measured"),
        (["--structure", "2of4"], 5, "structure 2of4 is claimed, unstructured was measured"),
        # of 32 x 16 x 9 and 96 x 512 weights in blocks of four; the first convolution and the head are not eligible
        (["--structure", "2of4"], 5, "of 13,440 blocks of 4 neighbouring input channels hold more than two weights"),
        (["--structure", "channel"], 5, "structure channel is claimed, unstructured was measured"),
        (["--structure", "channel"], 5, "No channel is removed: every tensor has its parent's shape"),
        (["--parent", "embedded:digits-cnn-natural"], 4, " with those at the same places of it, and"),
        (["--parent", "embedded:digits-cnn-l2"], 4, "embedded:digits-cnn-l2 is not the parent of mine.safetensors"),
        (["--parent", "embedded:digits-resnet-linf"], 4, "a tensor of the network or of its parent, but not of both"),
        (["--parent", "mine.safetensors"], 5, "no weight of its parent mine.safetensors is gone"),
        (["--recipe", "wanda"], 2, "--method tells of a network that came pruned; leave one of them out"),
        (["--method", ""], 2, "--method should be one line"),
        (["--method", "two\nlines"], 2, "--method should be one line"),
        (["--regime", "Fine Tuned"], 2, "--regime 'Fine Tuned' should be one word"),
        (["--parent", "dense.safetensors"], 3, "dense.safetensors"),
        (["--parent", "embedded:digits-cnn-linff"], 2, "Did you mean 'digits-cnn-linf'"),
        (["--parent", "entry:digits"], 2, "No entry of 'submissions'"),
        (["--parent", "."], 3, "result.json is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_so_is_refused_before_the_first_attack(capsys, words, code, says):
    kept = [*THEIRS, *SMOKE, "--out", "refused"]
    assert run(["evaluate", *kept, *words]) == code
    said = capsys.readouterr()
    assert says in said.err
    assert "measured first" not in said.err
    assert run(["check", *THEIRS, *SMOKE, *words]) == code, "bench check says the same"
    assert says in capsys.readouterr().err


def test_what_was_trained_anew_needs_no_weights_of_its_parent(capsys):
    words = ["--parent", "embedded:digits-cnn-natural", "--regime", "scratch", "--json"]
    assert run(["check", *THEIRS, *SMOKE, *words]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "bench.checks/1"


def test_a_network_that_came_pruned_needs_its_parent_where_all_channels_are_there(capsys):
    mine = ["check", "--model", "mine.safetensors", "--arch", "digits-cnn", *SMOKE, "--sparsity", "0.8"]
    assert run(mine) == 2
    assert "only its dense parent tells what was pruned; name that with --parent" in capsys.readouterr().err


@pytest.mark.material
def test_the_published_resnet_56_has_263_hundredths_of_the_work_of_its_child(material, monkeypatch, tmp_path):
    """The files' name says 2.55; its tensors say 2.63."""
    from bench.evaluation.plan.ask import File, Said, ask
    from bench.evaluation.plan.prepare import prepare
    from bench.evaluation.record.record import pruning_record

    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    weights = material / "weights"
    told = Said(
        parent=str(weights / "cifar10_resnet56_groupsl_regularised.safetensors"), method="GroupSL", structure="channel"
    )
    settled = ask(
        str(weights / "cifar10_resnet56_structpruned_2.55x.safetensors"),
        "cifar10-v1",
        file=File("resnet56-conv", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        said=told,
        limit=8,
        out=tmp_path / "run",
    )
    cell = prepare(settled)
    found = pruning_record(cell)
    assert round(found.parent_macs / found.macs, 2) == 2.63
    assert (found.structure, found.method) == ("channel", "GroupSL")
    assert (found.parameters, found.nonzero) == (855_770, 294_225)
    assert cell.parent is not None
    assert str(cell.parent.ref) == "cifar10_resnet56_groupsl_regularised.safetensors"
