import huggingface_hub.constants
import pytest
import torch

from bench.errors import ArtefactError, ContractError, InputError, UsageError
from bench.models.source import ModelRef, architecture, load
from bench.models.weights import save
from tests.support.loopback import serving

NAME = "test_byobnet.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def weights():
    """Return the tensors of a network of the right shape, drawn once."""
    network = architecture(f"timm:{NAME}").build()
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(tensor.shape, generator=generator).abs() / 10 if tensor.is_floating_point() else tensor
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


def test_a_name_without_a_tag_means_timms_own_and_is_recorded_with_it(weights, tmp_path):
    with pytest.raises(InputError, match=r"^timm:resnet18\.a1_in1k: its weights cannot be fetched"):
        model("resnet18")
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", weights)
    loaded = model(NAME.partition(".")[0])
    assert str(loaded.ref) == f"timm:{NAME}"
    assert loaded.digest == model().digest
    with pytest.raises(UsageError, match="has no pretrained weights; write --model FILE"):
        model("coatnet_0_224")


def test_pretrained_weights_take_other_sizes_by_name_and_no_other_classes(weights, tmp_path):
    save(tmp_path / "models" / "timm" / f"{NAME}.safetensors", weights)
    loaded = model(f"{NAME}?img_size=64x96")
    assert loaded.shape == (3, 64, 96)
    assert str(loaded.ref) == f"timm:{NAME}?img_size=64x96"
    with pytest.raises(UsageError, match=f"write --model FILE.safetensors --arch 'timm:{NAME}\\?num_classes=10'"):
        model(f"{NAME}?num_classes=10")


@pytest.mark.parametrize("name", ["test_byobnet", NAME])
def test_a_file_of_ones_own_is_read_into_a_timm_architecture(weights, tmp_path, name):
    head = {key: tensor[:37] for key, tensor in weights.items() if key.startswith("head.fc")}
    save(tmp_path / "mine.safetensors", weights | head)
    file = str(tmp_path / "mine.safetensors")
    loaded = load(ModelRef.parse(file, architecture=f"timm:{name}?img_size=32"))
    assert (loaded.shape, loaded.classes) == ((3, 32, 32), 37)
    assert loaded.architecture == f"timm:{name}?num_classes=37&img_size=32"
    assert load(ModelRef.parse(file, architecture=loaded.architecture)).digest == loaded.digest
    with pytest.raises(
        ArtefactError, match=r"'head\.fc\.weight' should have shape \(10, 256\) or smaller, got \(37, 256\)"
    ):
        load(ModelRef.parse(file, architecture=f"timm:{name}?num_classes=10"))


def test_a_network_built_for_one_size_is_built_for_the_size_that_is_named():
    made = architecture("timm:vit_tiny_patch16_224?num_classes=2&img_size=64&in_chans=1")
    assert (made.shape, made.classes) == ((1, 64, 64), 2)
    assert made.build().eval()(torch.zeros(1, 1, 64, 64)).shape == (1, 2)


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
