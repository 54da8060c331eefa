"""Checkpoints made the way people make them."""

import json
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from bench.cli.main import run
from bench.errors import ArtefactError, InputError, UsageError
from bench.models.architecture import ARCHITECTURES
from bench.models.conversion import convert
from bench.models.naming import Changes
from bench.models.source import ModelRef, load
from bench.models.weights import history, read

STATE = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.ones(2)}


@pytest.fixture
def network():
    return ARCHITECTURES["digits-cnn"].build().eval()


@pytest.fixture
def put(tmp_path):
    """Save a checkpoint and convert it."""

    def there_and_back(content, **options):
        torch.save(content, tmp_path / "old.pt")
        return convert(tmp_path / "old.pt", tmp_path / "new.safetensors", **options)

    return there_and_back


def same(found, expected=STATE):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []}},
        {"model": STATE, "best": torch.tensor(0.9)},
        {"net": STATE, "acc": 93.7},
        {"model_state_dict": STATE},
        {"ema": {"shadow": STATE, "decay": 0.99}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        OrderedDict(STATE),
    ],
    ids=["bare", "state_dict", "model", "net", "model_state_dict", "ema", "parallel", "both", "ordered"],
)
def test_the_one_state_dict_is_found(tmp_path, put, content):
    put(content)
    same(read(tmp_path / "new.safetensors"))


def test_a_lightning_file_is_taken_without_its_callbacks_and_metrics(put, network):
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {"val_acc.tp": torch.zeros(10), "val_acc.fp": torch.zeros(10), "loss.weight": torch.ones(10)}
    content = {
        "state_dict": state,
        "callbacks": {"EarlyStopping": {"best_score": torch.tensor(0.5), "wait_count": 0, "patience": 3}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
        "hyper_parameters": {"lr": 0.1},
    }
    with pytest.raises(ArtefactError) as caught:
        put(content, arch="digits-cnn")
    assert str(caught.value) == (
        "'old.pt' does not hold the weights of architecture 'digits-cnn': its names begin with 'model.'; 'loss.weight' "
        "has no place; 'val_acc.fp' has no place; and 1 more; where the network computes nothing with what has no "
        "place, `bench convert 'old.pt' NEW.safetensors --drop 'val_acc.*' --drop loss.weight --strip model.` mends it."
    )
    changes = Changes(drop=("val_acc.*", "loss.weight"), strip="model.")
    same(put(content, changes=changes).tensors, network.state_dict())
    same(put(content, changes=Changes(drop=changes.drop), arch="digits-cnn").tensors, network.state_dict())


@pytest.mark.parametrize("order", ["compiled in parallel", "parallel compiled", "twice", "part"])
def test_torchs_own_wrappers_are_cut_in_any_order(put, network, order):
    wrapped = {
        "compiled in parallel": lambda: nn.DataParallel(torch.compile(network)),
        "parallel compiled": lambda: torch.compile(nn.DataParallel(network)),
        "twice": lambda: nn.DataParallel(torch.compile(nn.DataParallel(network))),
        "part": lambda: nn.Sequential(OrderedDict({"0": torch.compile(network[0]), **dict(network.named_children())})),
    }[order]()
    if order == "part":
        wrapped[0] = torch.compile(nn.Conv2d(1, 16, 3, padding=1))
        wrapped[0].load_state_dict({f"_orig_mod.{key}": value for key, value in network[0].state_dict().items()})
    assert wrapped.state_dict().keys() != network.state_dict().keys()
    converted = put(wrapped.state_dict())
    same(converted.tensors, network.state_dict())
    assert converted.told == ("torch's wrappers cut from names",)


def test_the_counter_of_averaged_weights_is_told_and_dropped_by_name(put, network):
    averaged = torch.optim.swa_utils.AveragedModel(network).state_dict()
    (hint,) = put(averaged).hints
    assert "`--drop n_averaged --strip module.`" in hint
    same(put(averaged, changes=Changes(drop=("n_averaged",))).tensors, network.state_dict())


def test_a_prefix_stays_where_not_every_name_carries_it(put):
    content = {"module.weight": torch.ones(1), "scale": torch.ones(1)}
    same(put(content).tensors, content)


@pytest.mark.parametrize(
    ("first", "second"), [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("net", "ema"), ("last", "best")]
)
def test_two_state_dicts_ask_for_a_key(put, first, second):
    other = {name: tensor + 1 for name, tensor in STATE.items()}
    content = {first: STATE, second: other, "epoch": 1}
    with pytest.raises(ArtefactError, match=f"'{first}' \\(2 entries\\), '{second}' \\(2 entries\\); say with --key"):
        put(content)
    converted = put(content, key=second)
    same(converted.tensors, other)
    assert converted.told == (f"taken from the entry '{second}'",)
    with pytest.raises(ArtefactError, match=f"no entry 'middle'; it holds '{first}' \\(dict\\)"):
        put(content, key="middle")


def test_a_key_may_lead_inside(put):
    content = {"model": STATE, "ema": {"module": {"w": torch.ones(2)}, "decay": 0.9}}
    same(put(content, key="ema/module").tensors, {"w": torch.ones(2)})
    with pytest.raises(ArtefactError, match="name one of 'ema/module'"):
        put(content, key="ema")
    with pytest.raises(ArtefactError, match="say with --key weird that this"):
        put({"weird": STATE})


def test_a_prefix_is_cut_on_request(put):
    content = {f"module.model.{name}": tensor for name, tensor in STATE.items()}
    for prefix in ("model.", "module.model.", "_orig_mod.module.model."):
        same(put(content, changes=Changes(strip=prefix)).tensors)
    assert "`--strip model.`" in put(content).hints[0]
    with pytest.raises(UsageError, match=r"--strip 'net\.' does not go with"):
        put(content, changes=Changes(strip="net."))


def test_an_architecture_finds_the_prefix_and_names_the_parts_to_rename(put):
    dense = ARCHITECTURES["resnet20"].build()
    state = dense.state_dict()
    same(put({f"student.net.{name}": tensor for name, tensor in state.items()}, arch="resnet20").tensors, state)
    other = {name.replace("linear", "fc").replace("layer1", "layer1.module"): state[name] for name in state}
    with pytest.raises(ArtefactError, match=r"--rename module= --rename fc=linear`"):
        put(other, arch="resnet20")
    rename = (("module", ""), ("fc", "linear"))
    same(put(other, changes=Changes(rename=rename), arch="resnet20").tensors, state)
    with pytest.raises(ArtefactError, match="they are those of --arch resnet20-conv"):
        put(ARCHITECTURES["resnet20-conv"].build().state_dict(), arch="resnet20")


def test_a_network_that_is_there_twice_is_never_chosen_silently(put, network):
    state = network.state_dict()
    content = {f"{who}.{name}": tensor for who in ("student", "teacher") for name, tensor in state.items()}
    with pytest.raises(UsageError, match=r"there 2 times; add `--drop 'teacher\.\*' --strip student\.` or `--drop 'st"):
        put(content, arch="digits-cnn")
    same(put(content, changes=Changes(drop=("teacher.*",)), arch="digits-cnn").tensors, state)


def test_names_that_would_meet_and_flags_that_do_nothing_are_refused(put):
    with pytest.raises(ArtefactError, match=r"two tensors would be called 'a\.w'"):
        put({"a.w": torch.ones(2), "a._orig_mod.w": torch.zeros(2)})
    with pytest.raises(ArtefactError, match=r"two tensors would be called 'a\.w'"):
        put({"a.w": torch.ones(2), "b.w": torch.zeros(2)}, changes=Changes(rename=(("b", "a"),)))
    with pytest.raises(UsageError, match="--drop 'epoch' meets no name"):
        put(STATE, changes=Changes(drop=("epoch",)))
    with pytest.raises(UsageError, match="--rename 'fc' meets no name"):
        put(STATE, changes=Changes(rename=(("fc", "linear"),)))


def test_what_stands_among_the_tensors_is_named_with_its_flag(put):
    with pytest.raises(
        ArtefactError, match=r"'epoch' \(int\) stands among the tensors and is none; add `--drop epoch`"
    ):
        put(STATE | {"epoch": 3})
    same(put(STATE | {"epoch": 3}, changes=Changes(drop=("epoch",))).tensors)
    with pytest.raises(ArtefactError, match="the key 7 is no name"):
        put({"w": torch.ones(2), 7: torch.ones(2)})


@pytest.mark.parametrize("content", [torch.ones(2), [1, 2], {"epoch": 3}, {}, {"acc": torch.tensor(0.5)}])
def test_a_file_without_a_state_dict_is_refused(put, content):
    with pytest.raises(ArtefactError, match="state dict"):
        put(content)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.eye(3).to_sparse(), r"'w' is a sparse tensor or laid out otherwise \(sparse_coo\)"),
        (torch.ones(3, device="meta"), "'w' is a meta tensor"),
        (torch.ones(3, dtype=torch.complex64), r"'w' is complex \(complex64\)"),
        (torch.ones(3).to(torch.float8_e5m2), "'w' is of type float8_e5m2"),
    ],
    ids=["sparse", "meta", "complex", "float8"],
)
def test_numbers_that_are_not_plain_are_refused_with_one_sentence(put, tensor, says):
    with pytest.raises(ArtefactError, match=says) as caught:
        put(STATE | {"w": tensor})
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_quantised_numbers_are_refused_with_one_sentence(put):
    with pytest.raises(ArtefactError, match=r"'w' is quantised \(qint8\)"):
        put(STATE | {"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)})


def test_reserved_names_are_refused(tmp_path, put):
    with pytest.raises(ArtefactError, match="'__metadata__', a name that the format keeps"):
        put(STATE | {"__metadata__": torch.ones(2)})
    assert not (tmp_path / "new.safetensors").exists()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32_which_is_told_and_recorded(tmp_path, put, kind):
    converted = put({name: tensor.to(kind) for name, tensor in STATE.items()} | {"n": torch.tensor([3])})
    said = f"2 tensors of {str(kind).removeprefix('torch.')} written as float32"
    assert converted.told == (said,)
    assert history(tmp_path / "new.safetensors") == said
    same(read(tmp_path / "new.safetensors"), STATE | {"n": torch.tensor([3])})


def test_what_float32_cannot_hold_is_told_or_refused(put):
    small = torch.tensor([1.0, 1e-60, 0.0], dtype=torch.float64)
    assert "1 number too small for float32 became zero" in put({"w": small}).told
    with pytest.raises(ArtefactError, match=r"'w' holds numbers that float32 cannot hold, such as 1e\+60"):
        put({"w": torch.tensor([1.0, 1e60], dtype=torch.float64)})


def test_tied_transposed_expanded_and_negated_tensors_are_written_whole(tmp_path, put):
    tied = torch.arange(6.0).view(2, 3)
    imaginary = torch.complex(tied, tied + 1).conj().imag
    assert imaginary.is_neg()
    content = {"a": tied, "b": tied, "c": tied.T, "d": torch.ones(1).expand(4), "e": imaginary}
    converted = put(content)
    assert converted.told == ("3 tensors not stored row by row, such as 'c', written so",)
    same(read(tmp_path / "new.safetensors"), content)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("how", ["prune", "mask beside", "weight norm", "old weight norm", "spectral", "old spectral"])
def test_a_weight_in_pieces_loads_as_the_network_that_was_trained(tmp_path, put, network, how):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 1, 8, 8, generator=generator)
    for index in (0, 5):
        layer = network[index]
        mask = (torch.rand(layer.weight.shape, generator=generator) < 0.3).float()
        match how:
            case "prune":
                prune.custom_from_mask(layer, "weight", mask)
            case "mask beside":
                layer.register_buffer("weight_mask", mask)
                layer.weight.data *= mask
            case "weight norm":
                parametrizations.weight_norm(layer)
                layer.parametrizations.weight.original0.data *= 2
            case "old weight norm":
                nn.utils.weight_norm(layer)
                layer.weight_g.data *= 2
            case "spectral":
                parametrizations.spectral_norm(layer)
            case "old spectral":
                nn.utils.spectral_norm(layer)
    network.train()(images)
    network.eval()
    converted = put(network.state_dict(), arch="digits-cnn")
    loaded = load(ModelRef.parse(str(tmp_path / "new.safetensors"), architecture="digits-cnn"))
    torch.testing.assert_close(loaded.classifier(images), network(images).detach(), rtol=1e-5, atol=1e-6)
    assert any("folded into 2 tensors" in words for words in converted.told)
    assert history(tmp_path / "new.safetensors") == "; ".join(converted.told)


def test_a_file_that_needs_converting_says_so_when_it_is_loaded(tmp_path, network):
    from bench.models.weights import save

    prune.l1_unstructured(network[0], "weight", 0.5)
    state = {f"_orig_mod.{name}": tensor for name, tensor in network.state_dict().items()}
    save(tmp_path / "mine.safetensors", state)
    with pytest.raises(ArtefactError) as caught:
        load(ModelRef.parse(str(tmp_path / "mine.safetensors"), architecture="digits-cnn"))
    assert "`bench convert 'mine.safetensors' NEW.safetensors` mends it (masks folded into 1 tensor" in str(
        caught.value
    )
    converted = convert(tmp_path / "mine.safetensors", tmp_path / "new.safetensors")
    assert int((converted.tensors["0.weight"] == 0).sum()) == 72
    assert load(ModelRef.parse(str(tmp_path / "new.safetensors"), architecture="digits-cnn")).classes == 10


def test_hydras_scores_become_exact_zeros_at_the_rate_that_is_named(tmp_path, put, network):
    state = network.state_dict()
    generator = torch.Generator().manual_seed(0)
    scores = {
        name.replace("weight", "popup_scores"): torch.randn(tensor.shape, generator=generator)
        for name, tensor in state.items()
        if name.endswith("weight")
    }
    torch.save({"state_dict": state | scores, "epoch": 1}, tmp_path / "hydra.pt")
    command = ["convert", str(tmp_path / "hydra.pt"), str(tmp_path / "n.safetensors"), "--arch", "digits-cnn"]
    assert run(command) == 2
    assert run([*command, "--kept", "0.1"]) == 0
    found = read(tmp_path / "n.safetensors")
    for name, score in scores.items():
        weight = found[name.replace("popup_scores", "weight")]
        gone = int(0.9 * score.numel())
        assert int((weight == 0).sum()) == gone
        lowest = score.abs().flatten().argsort()[:gone]
        assert (weight.flatten()[lowest] == 0).all()
        stays = weight != 0
        assert torch.equal(weight[stays], state[name.replace("popup_scores", "weight")][stays])


def test_a_missing_file_and_a_wrong_ending_are_named(tmp_path):
    with pytest.raises(InputError, match="no file"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")
    with pytest.raises(UsageError, match=r"end in \.safetensors"):
        convert(tmp_path / "old.pt", tmp_path / "new.pt")


def test_the_command_writes_once_and_does_not_overwrite(tmp_path, capfd):
    old, new = tmp_path / "old.pt", tmp_path / "new.safetensors"
    torch.save({"model": {f"_orig_mod.{name}": tensor.double() for name, tensor in STATE.items()}}, old)
    assert run(["convert", str(old), str(new), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["numbers"] == 8
    assert document["told"] == [
        "taken from the entry 'model'",
        "torch's wrappers cut from names",
        "2 tensors of float64 written as float32",
    ]
    assert run(["convert", str(old), str(new)]) == 2
    assert "--force" in capfd.readouterr().err
    assert run(["convert", str(old), str(new), "--force", "--rename", "0=first"]) == 0
    assert "Renamed '0' to 'first'." in capfd.readouterr().err
    assert set(read(new)) == {"first.weight", "first.bias"}
    assert run(["convert", str(tmp_path / "absent.pt"), str(tmp_path / "x.safetensors")]) == 3
    assert run(["convert", str(old), str(tmp_path / "x.safetensors"), "--rename", "0"]) == 2
