import struct

import pytest
import torch
from torch import nn

from bench.atomic import write_atomic
from bench.errors import ArtefactError, BenchError, InputError
from bench.models.weights import PICKLED, file_digest, fill, history, read, refuse_names, save


def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))


def test_what_is_saved_is_read_back_bit_by_bit(tmp_path):
    path = tmp_path / "deep" / "w.safetensors"
    state = small().state_dict()
    save(path, state)
    back = read(path)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert [entry.name for entry in path.parent.iterdir()] == ["w.safetensors"]


def test_the_same_tensors_make_the_same_bytes(tmp_path):
    state = small().state_dict()
    save(tmp_path / "a.safetensors", state)
    save(tmp_path / "b.safetensors", dict(reversed(state.items())))
    assert file_digest(tmp_path / "a.safetensors") == file_digest(tmp_path / "b.safetensors")


@pytest.mark.parametrize("ending", sorted(PICKLED))
def test_pickled_files_are_refused_unopened(tmp_path, ending):
    path = tmp_path / f"old{ending}"
    with pytest.raises(ArtefactError, match=rf"bench convert \S*old{ending} \S*old\.safetensors") as caught:
        read(path)
    assert caught.value.exit_code == 4


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ArtefactError, match=r"end in \.safetensors"):
        read(tmp_path / "weights.npz")


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="No such file") as caught:
        read(tmp_path / "w.safetensors")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"PK\x03\x04 a zip file", struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 2) + b"[]"],
)
def test_files_that_are_no_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="no valid safetensors"):
        read(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save(path, small().state_dict())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match="no valid safetensors"):
        read(path)


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BenchError, match="cannot write"):
        write_atomic(tmp_path / "file" / "w.safetensors", b"")
    (tmp_path / "taken.safetensors").mkdir()
    with pytest.raises(BenchError, match="cannot write"):
        write_atomic(tmp_path / "taken.safetensors", b"content")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "taken.safetensors"]


def test_the_training_counter_may_be_missing():
    state = {name: tensor + 1 for name, tensor in small().state_dict().items() if "tracked" not in name}
    network = small()
    fill(network, state, where="'w'", what="'small'")
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in state.items())


def test_weights_of_another_architecture_are_named_in_one_sentence():
    state = small().state_dict() | {"head.weight": torch.zeros(1), "0.weight": torch.zeros(2, 3, 3, 3)}
    del state["1.bias"]
    with pytest.raises(ArtefactError) as caught:
        fill(small(), state, where="'w'", what="'small'")
    says = str(caught.value)
    assert "'0.weight' should have shape (2, 1, 3, 3), got (2, 3, 3, 3)" in says
    assert "'1.bias' is missing" in says
    assert "name the architecture that they belong to with --arch" in says
    assert "'head.weight' has no place" in says
    assert "\n" not in says


def test_only_the_first_mismatches_are_shown():
    with pytest.raises(ArtefactError, match="and 2 more"):
        fill(small(), {}, where="'w'", what="'small'")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (torch.float64, r"'0\.weight' should be float32, got float64; `bench convert 'w' NEW\.safetensors` writes"),
        (torch.int64, r"'0\.weight' should be float32, got int64"),
        (torch.complex64, "'w': '0.weight' is complex"),
        (torch.float8_e4m3fn, "'w': '0.weight' is of type float8_e4m3fn, whose scale"),
    ],
)
def test_types_that_would_be_rounded_are_refused(kind, says):
    state = small().state_dict()
    state["0.weight"] = state["0.weight"].to(kind)
    with pytest.raises(ArtefactError, match=says):
        fill(small(), state, where="'w'", what="'small'")


def test_a_reserved_name_is_refused():
    with pytest.raises(ArtefactError, match="'__metadata__', a name that the format keeps for itself"):
        refuse_names(["w", "__metadata__"], "'w'")
    with pytest.raises(ArtefactError, match="a name that is empty"):
        refuse_names(["w", ""], "'w'")


def test_what_is_told_of_a_conversion_is_read_back_and_changes_no_tensor(tmp_path):
    state = small().state_dict()
    save(tmp_path / "a.safetensors", state, told="cut 'module.' from names")
    save(tmp_path / "b.safetensors", state)
    assert history(tmp_path / "a.safetensors") == "cut 'module.' from names"
    assert not history(tmp_path / "b.safetensors")
    assert all(torch.equal(tensor, state[name]) for name, tensor in read(tmp_path / "a.safetensors").items())


def test_half_precision_is_widened_exactly():
    state = small().state_dict()
    state["0.weight"] = state["0.weight"].half()
    network = small()
    fill(network, state, where="'w'", what="'small'")
    assert torch.equal(network.get_parameter("0.weight"), state["0.weight"].float())
