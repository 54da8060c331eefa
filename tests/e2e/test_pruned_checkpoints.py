"""What ``bench prune`` writes of a foreign network is read back and measured as it was; weights are random."""

import json
import warnings

import numpy as np
import pytest
import torch

from bench.cli.main import run
from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.models.source import architecture
from bench.models.weights import save
from bench.protocol import own as protocols

TIMM, ROBUSTBENCH = "timm:test_byobnet.r160_in1k", "robustbench:cifar10/Linf/Addepalli2022Efficient_RN18"
POINTS = 2
SAME = [
    "prunable",
    "zeros",
    "connected",
    "nonzero",
    "parameters",
    "macs",
    "nonzero_macs",
    "parent_macs",
    "bytes_packed",
]


@pytest.fixture(autouse=True)
def _a_folder_of_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rules(monkeypatch):
    """Register images of a shape that no data set has, and rehearse under rules about them."""

    def made(reference: str) -> None:
        wanted = architecture(reference)
        channels, height, width = wanted.shape
        classes = tuple(str(index) for index in range(wanted.classes))

        def deliver(split: str, ids: object) -> EvalSet:
            source = np.random.default_rng(0)
            pixels = source.integers(0, 256, (len(ids), height, width, channels), dtype=np.uint8)
            labels = source.integers(0, wanted.classes, len(ids))
            return EvalSet("noise", split, pixels, 255, labels, np.array(ids, dtype=np.int64), classes)

        entry = DataSource("noise", deliver, wanted.shape, classes, citation="none")
        monkeypatch.setattr(DATASETS, "_entries", {name: DATASETS[name] for name in DATASETS} | {"noise": entry})
        smoke = protocols.load("digits-smoke-v1")
        data = smoke.data.model_copy(update={"dataset": "noise", "points": POINTS, "digest": None})
        noise = smoke.model_copy(update={"data": data, "checks": {}, "threats": smoke.threats[:1], "curves": ()})
        monkeypatch.setattr(protocols, "load", lambda _: noise)

    return made


def place(reference: str, folder) -> None:
    """Put random weights where the source looks for them."""
    source, _, name = reference.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = architecture(reference).build()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
    save(folder / "models" / source / f"{name}.safetensors", network.state_dict())


@pytest.mark.parametrize(("recipe", "sparsity"), [("magnitude-global", "0.9"), ("l2-inner", "0.2")])
@pytest.mark.parametrize("reference", [TIMM, ROBUSTBENCH])
def test_a_pruned_network_is_read_back_with_the_sparsity_that_was_measured(
    capsys, tmp_path, rules, reference, recipe, sparsity
):
    place(reference, tmp_path)
    assert run(["prune", "--model", reference, "--recipe", recipe, "--sparsity", sparsity, "--out", "thin"]) == 0
    written = json.loads((tmp_path / "thin" / "manifest.json").read_text("utf-8"))
    assert written["architecture"] == reference
    described = ["--arch", reference, "--mean", ",".join(map(str, written["mean"])),
                 "--std", ",".join(map(str, written["std"]))]  # fmt: skip
    assert written["evaluate"] == "bench evaluate --model model.safetensors --protocol digits-v1"
    assert (
        "To attack it: bench evaluate --model thin/model.safetensors --protocol digits-v1\n" in capsys.readouterr().err
    )

    assert run(["inspect", "thin/model.safetensors", *described, "--json"]) == 0
    inspected = json.loads(capsys.readouterr().out)
    assert {key: inspected[key] for key in SAME} == {key: written["measured"][key] for key in SAME}
    assert inspected["layers"] == written["measured"]["layers"]

    rules(reference)
    alone = ["--no-parent-run", "--out", "run", "--json"]
    assert run(["evaluate", "--model", "thin/model.safetensors", *alone]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {key: result["pruning"][key] for key in SAME} == {key: written["measured"][key] for key in SAME}
    told = {key: result["model"][key] for key in ("parent", "parent_sha256", "weights_sha256")}
    assert told == {"parent": reference} | {key: written[key] for key in ("parent_sha256", "weights_sha256")}
    assert result["pruning"]["method"].startswith(recipe)
    assert result["pruning"]["structure"] == written["recipe"]["structure"]
    assert (result["cost"]["latency"]["parent"] is not None) == (recipe == "l2-inner")


def test_an_architecture_of_a_source_that_has_none_says_which_have(capsys, tmp_path):
    save(tmp_path / "mine.safetensors", {"w": torch.zeros(2)})
    assert run(["inspect", "mine.safetensors", "--arch", "embedded:digits-tiny-linf"]) == 2
    says = capsys.readouterr().err
    assert "registered architecture or published:NAME or robustbench:NAME or timm:NAME" in says
