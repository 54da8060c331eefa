import copy

import pytest
import torch
from torch import nn

from bench.errors import ArtefactError, InputError, UsageError
from bench.models.architecture import ARCHITECTURES
from bench.models.source import ModelRef, load
from bench.models.weights import save
from bench.models.zoo import robustbench

NAME = "cifar10/Linf/Addepalli2022Efficient_RN18"


@pytest.fixture(autouse=True)
def _models(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path))


@pytest.fixture(scope="module")
def state():
    return ARCHITECTURES["resnet18"].build().state_dict()


def model(name=NAME):
    return load(ModelRef.parse(f"robustbench:{name}"))


def place(folder, state, name=NAME):
    save(folder / "robustbench" / f"{name}.safetensors", state)


def test_a_converted_file_gives_the_network_that_our_own_architecture_gives(tmp_path, state):
    place(tmp_path, state)
    ours = ARCHITECTURES["resnet18"].build().eval()
    ours.load_state_dict(state)
    loaded = model()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.classifier(images), ours(images), rtol=1e-4, atol=1e-5)
    assert loaded.shape == (3, 32, 32)
    assert loaded.classes == 10


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_prefixes_that_every_name_carries_are_cut(tmp_path, state, prefix):
    place(tmp_path, {prefix + name: tensor for name, tensor in state.items()})
    assert model().classes == 10


def test_normalisation_that_the_class_sets_itself_may_be_missing(tmp_path):
    from bench.models.zoo.robustbench import _entry

    name = "cifar10/L2/Rice2020Overfitting"
    network = _entry(name)[1]["model"]()
    state = network.state_dict()
    assert {"mu", "sigma"} <= state.keys() or not {"mu", "sigma"} & state.keys()
    place(tmp_path, {key: tensor for key, tensor in state.items() if key not in {"mu", "sigma"}}, name)
    loaded = load(ModelRef.parse(f"robustbench:{name}")).classifier.state_dict()
    assert all(torch.equal(loaded[f"network.{key}"], tensor) for key, tensor in state.items())


def test_missing_weights_say_what_brings_them_and_where_to_get_them(tmp_path):
    with pytest.raises(InputError) as caught:
        model()
    says = str(caught.value)
    assert "https://drive.google.com/uc?export=download&id=1m5vhdzIUUKhDbsZdOG9z76Eyp6f4xe_f" in says
    assert f"{tmp_path}/robustbench/{NAME}.safetensors; run: bench models fetch robustbench:{NAME}, or" in says
    assert f"bench models place robustbench:{NAME} Addepalli2022Efficient_RN18.pt." in says


def test_a_pickled_file_in_the_place_is_not_opened(tmp_path):
    path = tmp_path / "robustbench" / f"{NAME}.pt"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match="bench models place"):
        model()


def test_of_a_checkpoint_with_two_state_dicts_the_last_counts(tmp_path):
    name = "cifar10/Linf/Andriushchenko2020Understanding"
    state = robustbench._entry(name)[1]["model"]().state_dict()
    best = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
    torch.save({"best": best, "last": state}, tmp_path / "mine.pt")
    robustbench.place(name, tmp_path / "mine.pt")
    stored = model(name).classifier.state_dict()
    assert all(torch.equal(stored[f"network.{key}"], tensor) for key, tensor in state.items())


def test_missing_and_other_tensors_are_refused(tmp_path, state):
    short = dict(state)
    del short["layer4.1.conv2.weight"]
    place(tmp_path, short)
    with pytest.raises(ArtefactError, match=r"'layer4\.1\.conv2\.weight' is missing"):
        model()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cifar10", "should be robustbench:DATASET/THREAT/NAME"),
        ("cifar10/L0/Standard", "cifar10/Linf"),
        ("cifar10/Linf/", "DATASET/THREAT/NAME"),
        ("cifar10/Linf/Carmon2019Unlabelled", "Did you mean 'Carmon2019Unlabeled'"),
        ("cifar10/Linf/Chen2020Adversarial", "an ensemble"),
        ("cifar10/Linf/Debenedetti2022Light_XCiT-S12", "downloads unchecked"),
        ("imagenet/Linf/Standard_R50", "downloads unchecked"),
        ("cifar10/Linf/../../../x", "No RobustBench model"),
    ],
)
def test_names_that_are_not_offered_are_usage_errors(name, says):
    with pytest.raises(UsageError, match=says):
        model(name)


@pytest.mark.parametrize(
    "reference",
    [
        "cifar10/Linf/Carmon2019Unlabeled",
        "cifar10/Linf/Wong2020Fast",
        "cifar10/corruptions/Hendrycks2020AugMix_WRN",
        "cifar100/Linf/Rebuffi2021Fixing_R18_ddpm",
        "imagenet/Linf/Salman2020Do_R18",
    ],
)
def test_networks_of_every_data_set_load_from_a_placed_file_of_their_weights(tmp_path, reference):
    from bench.models.zoo.robustbench import _entry, _made

    state = _made(_entry(reference)[1]).state_dict()
    place(tmp_path, state, reference)
    loaded = model(reference)
    assert all(torch.equal(loaded.classifier.state_dict()[f"network.{key}"], state[key]) for key in state)


def test_an_adaptive_solver_takes_each_image_by_itself_and_parametrizations_are_computed_once():
    robustbench._zoo()
    from robustbench.model_zoo.architectures import sodef_layers as layers

    block = layers.ODEBlock(layers.ODEfunc_mlp(0))
    network = robustbench._made({"model": lambda: nn.Sequential(layers.MLP_OUT_ORTH1024(), block)}).eval()
    features = torch.rand(3, 1024, generator=torch.Generator().manual_seed(1)) * torch.tensor([[1], [10], [100]])
    before = network(features)
    robustbench._settle(network)
    assert [*network.state_dict()] == [
        "0.fc0.linear.weight",
        "1.odefunc.fc1._layer.weight",
        "1.odefunc.fc1._layer.bias",
    ]
    together = network(features)
    torch.testing.assert_close(together, before)
    alone = torch.cat([network(row[None]) for row in features])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(copy.deepcopy(network)(features), together, rtol=0, atol=0)
    fresh = layers.ODEBlock(block.odefunc)
    assert (fresh(network[0](features)) - together).abs().max() > 1e-2, "the solver's steps hang on the batch"
