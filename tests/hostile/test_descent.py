"""No network passes for what it is not: zeros for removed channels, a sparse parent for a dense one."""

import json
import shutil
from fractions import Fraction
from importlib import resources

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import bench
from bench.cli.main import run
from bench.errors import ArtefactError, ContractError, DisagreementError, InputError, UsageError
from bench.evaluation.conduct.adding import finished
from bench.evaluation.plan.ask import File, Said, ask
from bench.evaluation.plan.prepare import prepare
from bench.pruning.measure import measure
from bench.pruning.pattern import fits_two_of_four, pattern
from bench.pruning.recipe import Structure
from bench.submission.files import canonical
from bench.threats import Norm
from tests.support.builders import write

PARENT = "embedded:digits-cnn-linf"


def tensors(name="digits-cnn-linf"):
    return load_file(str(resources.files("bench.models.embedded") / f"{name}.safetensors"))


def threshold(state, share):
    sizes = torch.cat([tensor.abs().flatten() for tensor in state.values() if tensor.ndim > 1]).sort().values
    bar = sizes[int(share * len(sizes))]
    return {name: tensor * (tensor.abs() >= bar) if tensor.ndim > 1 else tensor for name, tensor in state.items()}


def without_a_channel(state):
    """Remove the last of the 16 channels of the first convolution: 9 weights of it, 32 x 9 of the next."""
    cut = {name: state[name][:-1].clone() for name in ("0.weight", "0.bias")}
    return state | cut | {"2.weight": state["2.weight"][:, :-1].clone()}


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Return a function that prepares a run of a state dict with what is told of it."""
    monkeypatch.chdir(tmp_path)

    def tell(state, parent=PARENT, **said):
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, "mine.safetensors")
        words = Said(parent=parent, method="theirs", **said)
        return prepare(ask("mine.safetensors", "digits-smoke-v1", file=File("digits-cnn"), said=words, limit=8))

    return tell


def test_one_removed_channel_makes_no_channel_pruning_of_zeros_in_place(told):
    mixed = without_a_channel(threshold(tensors(), Fraction(4, 5)))
    with pytest.raises(DisagreementError, match=r"channel is claimed, unstructured was measured.* Only 297 of 44,036"):
        told(mixed, structure="channel", sparsity=Fraction(4, 5))
    assert told(mixed).structure is Structure.UNSTRUCTURED
    assert told(without_a_channel(tensors()), structure="channel").structure is Structure.CHANNEL


def test_zeros_outside_of_eligible_layers_are_no_two_of_four():
    """Eligible is 16 x 64 alone: 512 zeros in its blocks, 900 in the head, which has 100 input channels."""
    example = torch.rand(2, 1, 8, 8)
    dense, network = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 100), nn.ReLU(), nn.Linear(100, 10))
        for _ in range(2)
    )
    network.load_state_dict(dense.state_dict())
    with torch.no_grad():
        network[1].weight.view(-1, 4)[:, :2] = 0
        assert pattern(dense, network, measure(dense, network, example), example) is Structure.TWO_OF_FOUR
        network[5].weight.view(-1)[:900] = 0
    assert fits_two_of_four(network, example, full=True)
    assert pattern(dense, network, measure(dense, network, example), example) is Structure.UNSTRUCTURED


def test_a_parent_that_was_pruned_itself_is_no_dense_one(told):
    sparse = threshold(tensors(), Fraction(4, 5))
    save_file(sparse, "sparse.safetensors")
    with pytest.raises(ArtefactError, match=r"sparse.safetensors is no dense parent: 43891 of its 54864"):
        told(threshold(tensors(), Fraction(41, 50)), parent="sparse.safetensors")


@pytest.mark.parametrize("other", ["digits-cnn-natural", "digits-cnn-l2"])
def test_a_channel_less_hides_no_wrong_parent(told, other):
    with pytest.raises(ArtefactError, match=r"is not the parent of mine\.safetensors: the weights that were kept"):
        told(without_a_channel(tensors()), parent=f"embedded:{other}")


@pytest.mark.parametrize(
    ("share", "says"),
    [
        ("-0.8", "strictly between 0 and 1, got -4/5"),
        ("0", "strictly between 0 and 1, got 0"),
        ("1", "strictly between 0 and 1, got 1"),
        ("0.80000000000000001", "at most 12 digits a part, got 80000000000000001/100000000000000000; round it"),
        ("1e-30", "at most 12 digits a part"),
        ("1e5000", "strictly between 0 and 1, got a number of very many digits"),
    ],
)
@pytest.mark.parametrize("recipe", [None, "magnitude-global"])
def test_a_sparsity_that_no_record_holds_is_refused_before_anything_is_loaded(capsys, share, says, recipe):
    words = ["--recipe", recipe] if recipe else ["--parent", PARENT, "--method", "theirs"]
    model = ["--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1"]
    assert run(["evaluate", *model, *words, "--sparsity", share]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--mean", "--std"])
def test_a_normalisation_beyond_all_floats_is_no_number(capsys, option):
    words = ["--model", "mine.safetensors", "--arch", "digits-cnn", option, "1e400"]
    assert run(["check", *words]) == 2
    assert "'1e400' is no list of numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "lie",
    [
        {"regime": "X Y\n"}, {"regime": ""}, {"target": "0.5"}, {"target": f"1/{10**13}"}, {"mean": []}, {"std": [0]},
        {"std": [1e999]}, {"recipe": {"name": "<b>", "version": 1, "structure": "unstructured"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_says_nothing_that_no_record_holds(half, lie):
    told = json.loads((half.parent / "manifest.json").read_text("utf-8"))
    (half.parent / "manifest.json").write_text(json.dumps(told | lie), "utf-8")
    with pytest.raises(ArtefactError, match="is no manifest of bench prune"):
        ask(str(half), "digits-smoke-v1")


def test_a_manifest_of_endless_depth_is_none(half):
    (half.parent / "manifest.json").write_text("[" * 100_000, "utf-8")
    with pytest.raises(ArtefactError, match="is no manifest of bench prune"):
        ask(str(half), "digits-smoke-v1")


@pytest.fixture
def half(monkeypatch, tmp_path):
    """Return a checkpoint that ``bench prune`` made, with its manifest."""
    monkeypatch.chdir(tmp_path)
    dense = ["--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.5"]
    assert run(["prune", *dense, "--out", "half"]) == 0
    return tmp_path / "half" / "model.safetensors"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with a parent's run and its child's, and what was said of the child."""
    root = tmp_path_factory.mktemp("runs")
    save_file(threshold(tensors("digits-tiny-linf"), Fraction(1, 2)), root / "mine.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        words = {"protocol": "digits-smoke-v1", "points": 2, "threats": "Linf", "progress": False}
        bench.evaluate("embedded:digits-tiny-linf", out="dense", **words)
    return root, words


def test_a_file_that_was_written_anew_is_not_the_network_of_a_finished_run(monkeypatch, runs):
    root, words = runs
    monkeypatch.chdir(root)
    from bench.evaluation.conduct.run import evaluate

    def settled():
        said = Said(parent="embedded:digits-tiny-linf", method="theirs")
        rest = {"norms": (Norm.LINF,), "limit": 2, "out": root / "child"}
        return ask("mine.safetensors", "digits-smoke-v1", file=File("digits-tiny"), said=said, **rest)

    evaluate(settled())
    assert finished(settled())
    with pytest.raises(UsageError, match="holds a run with another method, of which nothing is said here"):
        finished(ask("mine.safetensors", "digits-smoke-v1", file=File("digits-tiny"), limit=3, out=root / "child"))
    save_file(threshold(tensors("digits-tiny-linf"), Fraction(3, 5)), "mine.safetensors")
    with pytest.raises(UsageError, match="holds a run of another model of this name"):
        finished(settled())
    with pytest.raises(UsageError, match="holds a run with another recipe"):
        bench.evaluate("embedded:digits-tiny-linf", recipe="magnitude-global", sparsity=0.5, out="dense", **words)


def test_a_parents_run_whose_counts_were_edited_is_damaged(monkeypatch, runs):
    root, words = runs
    monkeypatch.chdir(root)
    shutil.copytree("dense", "edited")
    told = json.loads((root / "edited" / "result.json").read_text("utf-8"))
    told["threats"][0]["robust"] += 1
    (root / "edited" / "result.json").write_bytes(canonical(told))
    with pytest.raises(InputError, match="'edited' is damaged; run the parent again"):
        bench.evaluate(
            "embedded:digits-tiny-linf", recipe="magnitude-global", sparsity=0.5, parent="edited", out="x", **words
        )


def test_an_entry_in_place_of_the_parents_run_is_told(root, tmp_path):
    entry = root / "submissions" / "digits-v1" / "digits-tiny-linf--dense"
    with pytest.raises(InputError, match=r"digits-tiny-linf--dense' holds the witnesses of a sample of its points"):
        bench.evaluate(
            "embedded:digits-tiny-linf", protocol="digits-v1", points=2, threats="Linf",
            recipe="magnitude-global", sparsity=0.5, parent=entry, out=tmp_path / "run",
        )  # fmt: skip


class Constant(nn.Module):
    """Multiplies by a tensor that it keeps to itself."""

    def __init__(self):
        super().__init__()
        self.linear, self.mixed = nn.Linear(64, 10), torch.eye(64)

    def forward(self, images):
        return self.linear(images.flatten(1) @ self.mixed)


def test_a_constant_that_is_no_buffer_is_told_in_a_sentence():
    network = Constant()
    with pytest.raises(ContractError, match=r"cannot be followed in double precision .* register its constants"):
        measure(network, network, torch.rand(2, 1, 8, 8))


def test_no_file_makes_code_run(monkeypatch, half):
    """The module would tell by a file that it ran; only who names it in words of their own runs it."""
    (half.parents[1] / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()", "utf-8")
    monkeypatch.syspath_prepend(half.parents[1])
    code = "python:evil:make?in_chans=1&img_size=8"
    told = json.loads((half.parent / "manifest.json").read_text("utf-8"))
    (half.parent / "manifest.json").write_text(json.dumps(told | {"model": code}), "utf-8")
    with pytest.raises(UsageError, match=r"manifest.json' asks for code to be run, python:evil:make.*name it yourself"):
        ask(str(half), "digits-smoke-v1")
    folder = write(half.parents[1] / "submissions", id="evil-dense", parent="evil")
    record = json.loads((folder / "result.json").read_text("utf-8"))
    record["model"] |= {"ref": code, "normalisation": None}
    (folder / "result.json").write_bytes(canonical(record))
    for model, parent in ((str(folder), None), ("entry:evil-dense", None), (str(half), str(folder))):
        with pytest.raises(UsageError, match="asks for code to be run"):
            ask(model, "digits-smoke-v1", said=Said(parent=parent))
    assert not (half.parents[1] / "ran").exists()
    mine = ask("python:evil:other", "digits-smoke-v1", said=Said(parent=str(folder), method="theirs"))
    assert str(mine.request.origin.parent) == code
