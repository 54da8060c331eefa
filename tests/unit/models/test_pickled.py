import argparse
import os
import zipfile
from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from torch import nn

from bench.cli.main import run
from bench.errors import ArtefactError
from bench.models.pickled import open_pickled

STATE = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.ones(2)}


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def refusal(tmp_path, content, **options):
    torch.save(content, tmp_path / "old.pt", **options)
    with pytest.raises(ArtefactError) as caught:
        open_pickled(tmp_path / "old.pt")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"best_acc": np.float64(93.7)}, "(best_acc: numpy.float64)"),
        ({"best_acc": np.float32(93.7)}, "(best_acc: numpy.float32)"),
        ({"args": argparse.Namespace(lr=0.1)}, "(args: argparse.Namespace)"),
        ({"history": [{"loss": np.float64(1)}]}, "(history[0]/loss: numpy.float64)"),
        ({"log": {"curve": np.zeros(3)}}, "(log/curve: numpy.ndarray)"),
        ({"out": PurePosixPath("runs")}, "(out: pathlib.PurePosixPath)"),
        ({"criterion": nn.CrossEntropyLoss()}, "(criterion: torch.nn.modules.loss.CrossEntropyLoss)"),
        ({"opt": {"lr_fn": np.mean}}, "(opt/lr_fn: numpy.mean)"),
        ({"1": np.float64(1), "2": argparse.Namespace(), "3": {1}, "4": np.bool_(1), "5": np.int64(1)},
         "(1: numpy.float64; 2: argparse.Namespace; 4: numpy.bool; and 1 more)"),
    ],
)  # fmt: skip
def test_a_refused_file_names_every_type_with_its_place_and_what_to_do(tmp_path, extra, says):
    told = refusal(tmp_path, {"state_dict": STATE, **extra})
    assert says in told
    assert "load it with weights_only=False, save its state_dict alone" in told


def test_a_file_in_the_old_format_names_the_first(tmp_path):
    extra = {"a": {"best_acc": np.float64(1)}}
    assert "(a/best_acc: numpy.float64)" in refusal(
        tmp_path, {"state_dict": STATE, **extra}, _use_new_zipfile_serialization=False
    )


def test_a_whole_network_is_named(tmp_path):
    assert "is a whole pickled torch.nn.modules.linear.Linear" in refusal(tmp_path, nn.Linear(2, 2))
    assert "(net: torch.nn.modules.linear.Linear)" in refusal(tmp_path, {"net": nn.Linear(2, 2)})


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_archive_of_torchscript_is_named(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "old.pt")
    with pytest.raises(ArtefactError, match=r"is a TorchScript archive; open it with torch\.jit\.load"):
        open_pickled(tmp_path / "old.pt")


def test_code_in_a_checkpoint_never_runs(tmp_path, capfd):
    content = {"state_dict": STATE, "args": Bomb(tmp_path / "exploded")}
    assert "(args: posix.mkdir)" in refusal(tmp_path, content)
    assert run(["convert", str(tmp_path / "old.pt"), str(tmp_path / "new.safetensors")]) == 4
    assert "Traceback" not in capfd.readouterr().err
    assert not (tmp_path / "exploded").exists()
    assert not (tmp_path / "new.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"<html></html>", b"PK\x03\x04 a zip file", b"\x80\x02."])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "old.pt").write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged"):
        open_pickled(tmp_path / "old.pt")


def test_a_pickle_that_cannot_be_followed_is_refused_all_the_same(tmp_path):
    torch.save({"a": np.float64(1)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "old.pt", "w") as broken:
        for name in whole.namelist():
            content = whole.read(name)
            broken.writestr(name, content[:-9] if name.endswith("data.pkl") else content)
    with pytest.raises(ArtefactError, match="is not opened"):
        open_pickled(tmp_path / "old.pt")


def test_plain_containers_of_tensors_are_opened(tmp_path):
    torch.save({"state_dict": STATE, "epoch": 3, "log": [1.5, None, ("a", True)]}, tmp_path / "old.pt")
    assert open_pickled(tmp_path / "old.pt")["epoch"] == 3
