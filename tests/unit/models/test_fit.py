import pytest
import torch
from torch import nn

from bench.errors import ArtefactError
from bench.models.architecture import ARCHITECTURES
from bench.models.fit import fit
from bench.models.mending import shapes_of
from bench.models.probe import probe
from bench.models.weights import fill


def sequence():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
    )


def slim():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 5, 3, padding=1, groups=5),
        nn.Flatten(),
        nn.Linear(5 * 16, 10),
    )


def test_a_fitted_network_computes_what_the_slim_one_does():
    wanted, network = slim().eval(), sequence().eval()
    state = wanted.state_dict()
    fit(network, shapes_of(state), where="'w'", what="'dense'")
    fill(network, state, where="'w'", what="'dense'")
    images = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images), wanted(images))
    assert network[0].out_channels == network[1].num_features == network[3].groups == 5
    assert network[5].in_features == 80
    assert {name for name, _ in network.named_parameters()} == {name for name, _ in wanted.named_parameters()}


class Shifted(nn.Module):
    """Adds a number of its own to every channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.linspace(-1, 1, width))
        self.register_buffer("times", torch.tensor(2.0))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return as many maps."""
        return maps + self.times * self.shift.view(1, -1, 1, 1)


def test_layers_that_keep_a_number_of_every_channel_are_fitted_whatever_they_are():
    wanted = nn.Sequential(*slim()[:2], Shifted(5), *slim()[3:]).eval()
    network = nn.Sequential(*sequence()[:2], Shifted(8), *sequence()[3:]).eval()
    fit(network, shapes_of(wanted.state_dict()), where="'w'", what="'dense'")
    fill(network, wanted.state_dict(), where="'w'", what="'dense'")
    images = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images), wanted(images))


def test_the_same_shapes_change_nothing():
    network = sequence()
    before = dict(network.named_parameters())
    fit(network, shapes_of(network.state_dict()), where="'w'", what="'dense'")
    assert all(parameter is before[name] for name, parameter in network.named_parameters())


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("0.weight", (9, 3, 3, 3), "or smaller"),
        ("0.weight", (0, 3, 3, 3), "or smaller"),
        ("0.weight", (8, 3, 9), "or smaller"),
        ("0.weight", (8, 3, 1, 1), "'0' cannot be made"),
        ("0.bias", (5,), "'0' cannot be made"),
        ("1.running_mean", (5,), "'1' cannot be made"),
        ("5.bias", (4,), "'5' cannot be made"),
    ],
)
def test_shapes_of_no_smaller_sibling_are_refused(name, shape, says):
    network = sequence()
    shapes = shapes_of(network.state_dict()) | {name: shape}
    with pytest.raises(ArtefactError, match=says):
        fit(network, shapes, where="'w'", what="'dense'")


def test_layers_that_do_not_follow_each_other_are_found_by_the_probe():
    network = sequence()
    shapes = shapes_of(network.state_dict()) | {"0.weight": (5, 3, 3, 3), "0.bias": (5,)}
    fit(network, shapes, where="'w'", what="'dense'")
    with pytest.raises(ArtefactError, match="do not fit each other") as caught:
        probe(network, (3, 4, 4), 10, where="'w'", what="'dense'")
    assert "\n" not in str(caught.value)


def test_the_probe_counts_logits_and_leaves_the_mode_alone():
    network = sequence().train()
    with pytest.raises(ArtefactError, match="should give 7 logits"):
        probe(network, (3, 4, 4), 7, where="'w'", what="'dense'")
    assert network.training
    assert network[1].num_batches_tracked == 0


@pytest.mark.parametrize("name", ["resnet20", "resnet20-conv", "digits-resnet", "digits-cnn", "resnet2b"])
def test_channels_inside_a_block_can_go(name):
    architecture = ARCHITECTURES[name]
    network = architecture.build().eval()
    shapes = shapes_of(network.state_dict())
    inner = "block1" if name == "digits-resnet" else "layer1.0"
    first, second = (f"{inner}.conv1", f"{inner}.conv2") if name != "digits-cnn" else ("0", "2")
    for tensor, shape in list(shapes.items()):
        if tensor.startswith((f"{first}.", f"{inner}.bn1.")) and shape:
            shapes[tensor] = (3, *shape[1:])
    shapes[f"{second}.weight"] = (shapes[f"{second}.weight"][0], 3, 3, 3)
    fit(network, shapes, where="'w'", what=name)
    assert shapes_of(network.state_dict()) == shapes
    probe(network, architecture.shape, architecture.classes, where="'w'", what=name)
