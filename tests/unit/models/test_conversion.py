import os
from collections import OrderedDict

import pytest
import torch
from torch import nn

from bench.cli.main import run
from bench.errors import ArtefactError, InputError, UsageError
from bench.models.conversion import convert
from bench.models.weights import read

STATE = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.ones(2)}


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def same(found, expected=STATE):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {}}},
        {"model": STATE},
        {"net": STATE, "acc": 93.7},
        {"model_state_dict": STATE},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        OrderedDict(STATE),
    ],
    ids=["bare", "state_dict", "model", "net", "model_state_dict", "parallel", "both", "ordered"],
)
def test_the_state_dict_is_found_in_the_usual_wrappers(tmp_path, content):
    torch.save(content, tmp_path / "old.pt")
    convert(tmp_path / "old.pt", tmp_path / "new.safetensors")
    same(read(tmp_path / "new.safetensors"))


def test_a_prefix_stays_where_not_every_name_carries_it(tmp_path):
    content = {"module.weight": torch.ones(1), "scale": torch.ones(1)}
    torch.save(content, tmp_path / "old.pt")
    same(convert(tmp_path / "old.pt", tmp_path / "new.safetensors"), content)


def test_two_state_dicts_ask_for_a_key(tmp_path):
    torch.save({"last": STATE, "best": {"other": torch.zeros(1)}}, tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match=r"'last' \(dict\), 'best' \(dict\); say with --key"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")
    same(convert(tmp_path / "old.pt", tmp_path / "new.safetensors", key="last"))
    with pytest.raises(ArtefactError, match="no entry 'middle'"):
        convert(tmp_path / "old.pt", tmp_path / "other.safetensors", key="middle")


def test_a_prefix_is_cut_on_request(tmp_path):
    torch.save({f"module.model.{name}": tensor for name, tensor in STATE.items()}, tmp_path / "old.pt")
    same(convert(tmp_path / "old.pt", tmp_path / "new.safetensors", strip="model."))
    with pytest.raises(UsageError, match=r"--strip 'net\.' does not go with"):
        convert(tmp_path / "old.pt", tmp_path / "other.safetensors", strip="net.")


def test_code_in_a_checkpoint_never_runs(tmp_path):
    torch.save({"state_dict": STATE, "args": Bomb(tmp_path / "exploded")}, tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match="more than plain tensors") as caught:
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()
    assert not (tmp_path / "new.safetensors").exists()


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match="save its state_dict alone"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")


@pytest.mark.parametrize("content", [torch.ones(2), [1, 2], {"epoch": 3}, {}])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match="state dict"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")


def test_sparse_tensors_are_refused(tmp_path):
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match="'w' is a sparse or quantised tensor"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")


@pytest.mark.parametrize("content", [b"", b"garbage", b"<html></html>"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "old.pt").write_bytes(content)
    with pytest.raises(ArtefactError):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")


def test_a_missing_file_and_a_wrong_ending_are_named(tmp_path):
    with pytest.raises(InputError, match="no file"):
        convert(tmp_path / "old.pt", tmp_path / "new.safetensors")
    with pytest.raises(UsageError, match=r"end in \.safetensors"):
        convert(tmp_path / "old.pt", tmp_path / "new.pt")


def test_tied_and_transposed_tensors_are_written_whole(tmp_path):
    tied = torch.arange(6.0).view(2, 3)
    torch.save({"a": tied, "b": tied, "c": tied.T}, tmp_path / "old.pt")
    same(convert(tmp_path / "old.pt", tmp_path / "new.safetensors"), {"a": tied, "b": tied, "c": tied.T})
    same(read(tmp_path / "new.safetensors"), {"a": tied, "b": tied, "c": tied.T})


def test_the_command_writes_once_and_does_not_overwrite(tmp_path, capfd):
    old, new = tmp_path / "old.pt", tmp_path / "new.safetensors"
    torch.save(STATE, old)
    assert run(["convert", str(old), str(new), "--json"]) == 0
    assert '"numbers": 8' in capfd.readouterr().out
    assert run(["convert", str(old), str(new)]) == 2
    assert "--force" in capfd.readouterr().err
    assert run(["convert", str(old), str(new), "--force"]) == 0
    assert run(["convert", str(tmp_path / "absent.pt"), str(tmp_path / "x.safetensors")]) == 3


def test_the_command_refuses_code_with_its_own_exit_code(tmp_path, capfd):
    torch.save({"state_dict": STATE, "args": Bomb(tmp_path / "exploded")}, tmp_path / "old.pt")
    assert run(["convert", str(tmp_path / "old.pt"), str(tmp_path / "new.safetensors")]) == 4
    assert "Traceback" not in capfd.readouterr().err
    assert not (tmp_path / "exploded").exists()
