import pytest
import torch

from bench.errors import ArtefactError, ContractError, InputError, UsageError
from bench.models.architecture import ARCHITECTURES
from bench.models.source import ModelRef, load
from bench.models.weights import file_digest, save


@pytest.fixture
def state():
    return ARCHITECTURES["digits-cnn"].build().state_dict()


def test_a_file_becomes_a_classifier_with_its_normalisation(tmp_path, state):
    path = tmp_path / "mine.safetensors"
    save(path, state)
    loaded = load(ModelRef.parse(str(path), architecture="digits-cnn", mean=(0.5,), std=(0.25,)))
    network = ARCHITECTURES["digits-cnn"].build().eval()
    network.load_state_dict(state)
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.classifier(images), network((images - 0.5) / 0.25))
    assert loaded.file_digest == file_digest(path)
    assert not any(parameter.requires_grad for parameter in loaded.classifier.parameters())
    assert str(loaded.ref) == "mine.safetensors", "records hold no local paths"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"architecture": "digits-cn"}, UsageError, "Did you mean 'digits-cnn'"),
        ({"architecture": "digits-mlp"}, ArtefactError, "does not hold the weights of architecture 'digits-mlp'"),
        ({"architecture": "digits-cnn", "mean": (0.1, 0.2)}, UsageError, "--mean takes one value"),
        ({"architecture": "digits-cnn", "std": (0.0,)}, UsageError, "--std takes positive values"),
        ({}, UsageError, "--arch NAME"),
    ],
)
def test_options_that_do_not_fit_get_one_sentence(tmp_path, state, options, error, says):
    path = tmp_path / "mine.safetensors"
    save(path, state)
    with pytest.raises(error, match=says) as caught:
        load(ModelRef.parse(str(path), **options))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_give_no_model(tmp_path, state):
    save(tmp_path / "mine.safetensors", state | {"7.bias": torch.full((10,), float("inf"))})
    with pytest.raises(ContractError, match=r"'7\.bias' holds NaN or infinity"):
        load(ModelRef.parse(str(tmp_path / "mine.safetensors"), architecture="digits-cnn"))


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError):
        load(ModelRef.parse(str(tmp_path / "absent.safetensors"), architecture="digits-cnn"))


@pytest.mark.parametrize("name", ["old.pt", "dir/old.pth", "OLD.PT"])
def test_a_pickled_file_is_refused_with_the_way_out(name):
    with pytest.raises(ArtefactError, match="bench convert"):
        ModelRef.parse(name, architecture="digits-cnn")
