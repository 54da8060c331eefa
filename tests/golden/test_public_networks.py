"""Architectures of the literature are those of its public code: the same names, shapes, order, and the same function.

``public_networks.json`` was written by building each network with the code of the repository and commit it names,
giving it the weights of ``weights_of`` and showing it the image of ``image``; it holds the logits, and the sha256 over
names and shapes.
"""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from bench.models.architecture import ARCHITECTURES

PUBLIC = json.loads((Path(__file__).parent / "public_networks.json").read_text("utf-8"))


def weights_of(network):
    """Return weights that anyone can compute: a wave, as long and as strong as the tensor needs."""
    state = {}
    for place, (name, tensor) in enumerate(network.state_dict().items()):
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 12.9898 + place)
        fan = tensor[0].numel() if tensor.ndim > 1 else 1
        wave = (
            wave * (3 / fan) ** 0.5 if tensor.ndim > 1 else wave * 0.2 + (1 if name.endswith(("weight", "var")) else 0)
        )
        state[name] = tensor if not tensor.is_floating_point() else wave.float().view(tensor.shape)
    return state


def image():
    return torch.cos(torch.arange(3 * 32 * 32, dtype=torch.float64)).float().view(1, 3, 32, 32)


def spelled(state):
    lines = [f"{name} {tuple(tensor.shape)}" for name, tensor in state.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", list(PUBLIC))
def test_a_network_of_the_literature_is_that_of_its_public_code(name):
    network = ARCHITECTURES[name].build().eval()
    assert spelled(network.state_dict()) == PUBLIC[name]["names_sha256"]
    network.load_state_dict(weights_of(network), strict=True)
    with torch.no_grad():
        logits = network(image())[0]
    expected = torch.tensor(PUBLIC[name]["logits"])
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert expected.std() > 0
