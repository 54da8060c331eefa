"""The real networks and images that peer tests and benchmarks attack."""

import copy
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bench.models.source import ModelRef, load
from bench.pruning.prune import prune
from bench.pruning.recipe import Context

_CIFAR = ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_EQUAL = ((0.485, 0.456, 0.406), (0.225, 0.225, 0.225))
NETWORKS = {
    "cnn_a_adv": ("cnn-a", *_CIFAR),
    "cnn_a_adv4": ("cnn-a", *_CIFAR),
    "kw_oval_base": ("cnn-oval-base", *_EQUAL),
    "mmr_universal": ("cnn-a", (0.0,), (1.0,)),
    "resnet2b_adv": ("resnet2b", (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "resnet20_standard": ("resnet20", *_IMAGENET),
}
"""Architecture, mean and standard deviation of each file of weights, from the notes beside it."""

FILES = NETWORKS | {
    "cnn_a_mix": ("cnn-a", *_CIFAR),
    "conv_small_pgd": ("conv-small", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "kw_small_l2_36px": ("cnn-a", *_EQUAL),
}
"""The same with those that peers do not attack."""

STANDARD = {
    "apgd-ce": {"steps": 100},
    "apgd-t": {"steps": 100, "targets": 9},
    "fab-t": {"steps": 100, "targets": 9},
    "square": {"queries": 5000, "p_init": 0.8},
}
"""AutoAttack's standard version, in its order."""


class Real(NamedTuple):
    """A real network with real images."""

    model: torch.nn.Module
    images: torch.Tensor
    labels: torch.Tensor


def network(material, name):
    """Load one network, frozen and in evaluation mode."""
    if name == "resnet18":
        import pyautoattack

        from bench.models.architectures.resnet18 import ResNet18

        state = Path(pyautoattack.__file__).parent / "examples" / "model_test.pt"
        model = ResNet18()
        model.load_state_dict(torch.load(state, map_location="cpu", weights_only=True))
        return model.eval().requires_grad_(requires_grad=False)
    architecture, mean, std = FILES[name]
    path = Path(material) / "weights" / f"cifar10_{name}.safetensors"
    return load(ModelRef.parse(str(path), architecture=architecture, mean=mean, std=std)).classifier


def real(material, name, points, sparsity="0"):
    """Load a network, pruned by global magnitude if asked, and the first test images."""
    model = network(material, name)
    with np.load(Path(material) / "cifar10" / "test-0000-0999.npz") as data:
        images = torch.from_numpy(data["images"][:points]).permute(0, 3, 1, 2).float().div(255).contiguous()
        labels = torch.from_numpy(data["labels"][:points])
    if Fraction(sparsity):
        model = prune(model, "magnitude-global", Fraction(sparsity), Context(example=images[:1])).network
    return Real(copy.deepcopy(model).eval(), images, labels)
