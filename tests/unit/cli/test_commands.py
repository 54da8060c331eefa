"""Commands print results on standard output, words on standard error, and one JSON document when asked."""

import json
from fractions import Fraction
from types import SimpleNamespace

import pytest

from bench.attacks.attack import ATTACKS
from bench.cli import reading
from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.data.format import FORMATS
from bench.errors import UsageError
from bench.evaluation.checks.check import CHECKS
from bench.models.architecture import ARCHITECTURES
from bench.protocol.load import load, names
from bench.pruning.recipe import RECIPES
from bench.pruning.regime import REGIMES


def printed(capsys, *words: str) -> dict:
    assert run(words) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [
        ("attacks", "attack", list(ATTACKS)),
        ("recipes", "recipe", list(RECIPES)),
        ("regimes", "regime", list(REGIMES)),
        ("datasets", "data set", [*DATASETS, *FORMATS]),
        ("architectures", "architecture", list(ARCHITECTURES)),
        ("protocols", "protocol", list(names())),
        ("checks", "check", list(CHECKS)),
    ],
)
def test_a_list_names_everything_that_is_registered(capsys, kind, column, expected):
    entries = printed(capsys, "list", kind, "--json")["entries"]
    assert [entry[column] for entry in entries] == expected
    assert all(all(entry.values()) for entry in entries), "every column says something"


def test_models_are_listed_by_the_reference_that_loads_them(capsys):
    entries = printed(capsys, "list", "models", "--json")["entries"]
    assert "embedded:digits-tiny-linf" in {entry["model"] for entry in entries}


def test_every_model_of_the_zoo_is_named_and_whether_its_weights_are_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for name in ("robustbench/cifar10/Linf/Carmon2019Unlabeled", "timm/resnet18.a2_in1k"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    listed = {entry["model"]: entry["on disk"] for entry in printed(capsys, "list", "models", "--json")["entries"]}
    assert listed["embedded:digits-cnn-linf"] == "yes"
    zoo = {name: here for name, here in listed.items() if name.startswith("robustbench:")}
    assert len(zoo) > 150
    assert [name for name, here in zoo.items() if here == "yes"] == ["robustbench:cifar10/Linf/Carmon2019Unlabeled"]
    # a thousand names would bury the rest: those on disk, and a line that says how to see the others
    assert {name for name in listed if name.startswith("timm")} == {"timm", "timm:resnet18.a2_in1k"}
    found = {
        entry["model"]: entry["on disk"]
        for entry in printed(capsys, "list", "models", "ResNet18.", "--json")["entries"]
    }
    assert found["timm:resnet18.a1_in1k"] == "no"
    assert found["timm:resnet18.a2_in1k"] == "yes"
    assert all("resnet18." in name.lower() for name in found)


def test_a_word_shortens_every_list(capsys):
    entries = printed(capsys, "list", "recipes", "wanda", "--json")["entries"]
    assert [entry["recipe"] for entry in entries] == ["wanda", "wanda-2of4"]


def test_a_list_for_people_is_a_table(capsys):
    assert run(["list", "recipes"]) == 0
    told = capsys.readouterr()
    assert "arXiv" in told.out
    assert told.err == ""


def test_a_protocol_is_shown_with_every_setting(capsys):
    assert run(["protocol", "show", "cifar10-v1"]) == 0
    told = capsys.readouterr().out
    for words in ("Linf 8/255", "apgd-ce → apgd-t → fab-t → square", "queries = 5000", "check collapse", "epochs = 20"):
        assert words in told
    shown = printed(capsys, "protocol", "show", "cifar10-v1", "--json")
    assert (shown["data"]["points"], shown["preprocessing"]) == (1000, None)
    assert "preprocessing" not in told


@pytest.mark.parametrize("name", ["imagenet-v1", "imagenet-500-v1", "imagenette-v1"])
def test_a_protocol_of_photographs_says_what_is_done_to_them(capsys, name):
    assert run(["protocol", "show", name]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "preprocessing shorter side 256, bilinear; middle square 224; RGB" in told
    assert told.index(f"summary {load(name).summary[:40]}") < told.index("digest")
    shown = printed(capsys, "protocol", "show", name, "--json")["preprocessing"]
    assert shown == {"size": 256, "crop": 224, "interpolation": "bilinear", "channels": 3}


def test_the_doctor_finds_this_installation_healthy(capsys):
    findings = printed(capsys, "doctor", "--json")["findings"]
    told = {finding["what"]: finding["says"] for finding in findings}
    assert {"embedded models", "robustbench", "device", "data folder", "cache of the hub", "results"} <= set(told)
    assert told["track digits-v1"] == "ready, 500 points of digits test, digest as pinned"
    assert "GiB free" in told["results"]
    assert all(finding["ok"] for finding in findings)


def test_the_doctor_names_what_is_absent_and_downloads_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    findings = {finding["what"]: finding for finding in printed(capsys, "doctor", "--json")["findings"]}
    absent = findings["track cifar10-v1"]
    assert absent["says"].startswith("not ready; bench data fetch cifar10 (")
    assert absent["state"] == "absent"
    assert absent["ok"], "a data set that nobody placed is no fault of the installation"
    assert str(tmp_path) in findings["data folder"]["says"]
    assert not list(tmp_path.rglob("*"))


def test_the_doctor_notices_a_full_disk(capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=2**20))
    assert run(["doctor", "--json"]) == 1
    findings = {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert not findings["results"]["ok"]
    assert "a run may not be able to keep its candidates" in findings["results"]["says"]


def test_the_audit_compares_point_by_point(capsys):
    document = printed(
        capsys, "audit", "--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1",
        "--threat", "Linf", "--limit", "10", "--json",
    )  # fmt: skip
    (threat,) = document["threats"]
    assert document["agree"] is True
    assert abs(threat["robust"][0] - threat["robust"][1]) <= 1
    assert set(threat["broken"]) >= {"apgd-ce", "apgd-t", "fab-t", "square"}


def test_inspect_measures_a_checkpoint_and_shows_a_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prune = ["prune", "--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.75"]
    assert run([*prune, "--out", "half"]) == 0
    capsys.readouterr()
    words = ["inspect", "half/model.safetensors", "--arch", "digits-tiny", "--parent", "embedded:digits-tiny-linf"]
    assert printed(capsys, *words, "--json")["zeros"] == 915  # three quarters of 1,220
    assert run(words) == 0
    assert "75.00 %" in capsys.readouterr().out
    options = ["--protocol", "digits-smoke-v1", "--limit", "5", "--out", "run"]
    assert run(["evaluate", "--model", "half/model.safetensors", "--arch", "digits-tiny", *options]) == 0
    capsys.readouterr()
    result = printed(capsys, "inspect", "run", "--json")
    assert result["pruning"]["zeros"] == 915
    assert run(["inspect", "nothing.txt"]) == 2


@pytest.mark.parametrize(("text", "value"), [("0:200", (0, 200)), (None, None)])
def test_ranges_of_points(text, value):
    assert reading.points(text) == value


@pytest.mark.parametrize("text", ["5", "a:b", "-1:4", "1:2:3"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="FIRST:LAST"):
        reading.points(text)


def test_a_compression_rate_is_a_sparsity():
    assert str(reading.sparsity(None, "10")) == "9/10"
    assert str(reading.sparsity("0.9", None)) == "9/10"
    with pytest.raises(UsageError, match="above 1"):
        reading.sparsity(None, "1")
    with pytest.raises(UsageError, match="same thing"):
        reading.sparsity("0.9", "10")


def test_numbers_may_be_fractions():
    assert reading.numbers("0.5,125.3/255") == (0.5, float(Fraction(1253, 2550)))
    with pytest.raises(UsageError, match="R,G,B"):
        reading.numbers("0.5;0.5")
