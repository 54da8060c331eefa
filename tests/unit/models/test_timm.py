import huggingface_hub.constants
import pytest
import torch

from bench.errors import ArtefactError, ContractError, InputError, UsageError
from bench.models.source import ModelRef, load
from bench.models.weights import save
from tests.support.loopback import serving

NAME = "test_byobnet.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def weights():
    """Return the tensors of a network of the right shape, drawn once."""
    from bench.models.zoo.timm import _network

    network, _ = _network(NAME)
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(tensor.shape, generator=generator) / 10 if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }


@pytest.fixture(autouse=True)
def _nothing_is_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def model(name=NAME):
    return load(ModelRef.parse(f"timm:{name}"))


def test_a_placed_file_is_used_with_timms_normalisation(weights, tmp_path):
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", weights)
    loaded = model()
    assert loaded.shape == (3, 160, 160)
    assert loaded.classes == 1000
    assert loaded.classifier.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    stored = loaded.classifier.state_dict()
    assert all(torch.equal(stored[f"network.{name}"], tensor) for name, tensor in weights.items())
    assert "placed by hand" in loaded.notes["source"]


def test_the_hub_is_asked_once_and_its_commit_is_noted(weights, tmp_path, monkeypatch):
    save(tmp_path / "w.safetensors", weights)
    content = (tmp_path / "w.safetensors").read_bytes()
    path = f"/timm/{NAME}/resolve/main/model.safetensors"
    with serving({path: content}, {"X-Repo-Commit": COMMIT}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        loaded = model()
        assert hub.asked.count(f"GET {path}") == 1
        assert {line.split()[1] for line in hub.asked} == {path}
    assert loaded.notes["source"] == f"timm/{NAME}@{COMMIT}"
    assert loaded.file_digest is not None
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert model().digest == loaded.digest, "what was fetched once serves without a network"


def test_a_revision_is_passed_on_and_never_replaced_by_a_placed_file(weights, tmp_path, monkeypatch):
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", weights)
    path = f"/timm/{NAME}/resolve/{COMMIT}/model.safetensors"
    with serving({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(InputError):
            model(f"{NAME}@{COMMIT}")
        assert f"HEAD {path}" in hub.asked


def test_offline_the_message_says_what_to_place_where(tmp_path):
    with pytest.raises(InputError) as caught:
        model()
    says = str(caught.value)
    assert f"https://huggingface.co/timm/{NAME}" in says
    assert str(tmp_path / "models" / "timm" / f"{NAME}.safetensors") in says
    assert "\n" not in says
    assert caught.value.exit_code == 3


def test_weights_of_another_network_are_refused(tmp_path):
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", {"fc.weight": torch.zeros(10, 4)})
    with pytest.raises(ArtefactError, match=f"does not hold the weights of timm's '{NAME}'"):
        model()


def test_nan_in_the_weights_gives_no_model(weights, tmp_path):
    first = next(iter(weights))
    broken = weights | {first: torch.full_like(weights[first], float("nan"))}
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", broken)
    with pytest.raises(ContractError, match="NaN"):
        model()


def test_a_name_without_a_tag_lists_the_tags():
    with pytest.raises(UsageError, match=r"write one of timm:resnet18\.a1_in1k"):
        model("resnet18")


def test_an_unknown_name_gets_near_misses():
    with pytest.raises(UsageError, match=r"Did you mean .*'resnet50\.a1_in1k'") as caught:
        model("resnet50.a1_in1")
    assert len(str(caught.value)) < 400
    with pytest.raises(UsageError, match="is no revision"):
        model(f"{NAME}@../../x")


def test_weights_in_another_layout_ask_for_a_placed_file():
    with pytest.raises(InputError, match=r"no safetensors in timm's own layout"):
        model("vit_base_patch32_clip_224.laion2b")


def test_loading_leaves_the_global_random_numbers_alone(weights, tmp_path):
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", weights)
    before = torch.get_rng_state()
    model()
    assert torch.equal(torch.get_rng_state(), before)
