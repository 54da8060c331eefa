"""The real networks on which the strength and the cost of a cascade are measured, with the rules that suit each."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import torch

from bench.data.dataset import DATASETS
from bench.evaluation.search.cascade import Target
from bench.models.source import ModelRef, load
from bench.protocol.load import Protocol
from bench.protocol.load import load as rules
from bench.pruning.prune import prune
from bench.pruning.recipe import Context

from . import hard, material  # noqa: TID252 - programs know this folder as `support`, tests as `tests.support`

_CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR = material.FILES | {
    "resnet56_groupsl_regularised": ("resnet56-conv", *_CIFAR),
    "resnet56_structpruned_2.55x": ("resnet56-conv", *_CIFAR),
}
MNIST = {
    "mnist_cnn_a_adv": "mnist-cnn-a",
    "mnist_kw_0.1": "mnist-cnn-a",
    "mnist_madrycnn_nomaxpool_tiny": "mnist-madry-tiny",
    "mnist_smallcnn_standard": "mnist-smallcnn",
}
EMBEDDED = tuple(
    f"embedded:digits-{name}"
    for name in (
        "tiny-linf",
        "mlp-linf",
        "cnn-natural",
        "cnn-linf",
        "cnn-l2",
        "resnet-natural",
        "resnet-linf",
        "resnet-l2",
    )
)
SLOW = ("resnet20_standard", "resnet56_groupsl_regularised", "resnet56_structpruned_2.55x")
"""A pass of these takes a millisecond or more, so a quarter of the points is enough."""

_PRUNED = ("cnn_a_adv", "kw_oval_base", "resnet2b_adv", "mmr_universal")
NETWORKS = (
    *CIFAR,
    *(f"{name} at {share}" for name in _PRUNED for share in ("1/2", "9/10")),
    *MNIST,
    *EMBEDDED,
    "cnn_a_adv4 quantised",
    "cnn_a_adv4 shattered",
)
"""Names of networks; ``NAME at SHARE`` is pruned by global magnitude, the last two are made hard for gradients."""


class Peer(NamedTuple):
    """A network, the rules that it is measured under, and images.

    Attributes:
        ids: of the images.
    """

    model: torch.nn.Module
    rules: Protocol
    images: torch.Tensor
    labels: torch.Tensor
    ids: torch.Tensor

    def target(self) -> Target:
        """Return the network with those of the images that it gets right."""
        with torch.no_grad():
            logits = torch.cat([self.model(part) for part in self.images.split(250)])
        right = (logits.argmax(dim=1) == self.labels).nonzero().flatten()
        return Target(self.model, self.images[right], self.labels[right], self.ids[right], logits[right])


def rules_of(spec: str) -> str:
    """Return the name of the rules that suit a network."""
    if spec.partition(" ")[0] in EMBEDDED:
        return "digits-v1"
    return "mnist-v1" if spec.partition(" ")[0] in MNIST else "cifar10-v1"


def peer(folder: Path, spec: str, points: int, protocol: str | None = None) -> Peer:
    """Load a network with the first test images of its data.

    Args:
        folder: where material is looked for.
        spec: one of NETWORKS.
        points: how many images.
        protocol: rules to take in place of those that suit the network.
    """
    name, _, rest = spec.partition(" ")
    if name in EMBEDDED:
        model = load(ModelRef.parse(name)).classifier
    elif name in MNIST:
        path = Path(folder) / "weights" / f"{name}.safetensors"
        model = load(ModelRef.parse(str(path), architecture=MNIST[name])).classifier
    else:
        architecture, mean, std = CIFAR[name]
        path = Path(folder) / "weights" / f"cifar10_{name}.safetensors"
        model = load(ModelRef.parse(str(path), architecture=architecture, mean=mean, std=std)).classifier
    chosen = rules(protocol or rules_of(spec))
    found = DATASETS[chosen.data.dataset].load("test", range(points))
    images = found.images()
    if rest.startswith("at "):
        share = Fraction(rest.removeprefix("at "))
        model = prune(model, "magnitude-global", share, Context(example=images[:1])).network
    elif rest:
        model = hard.quantised(model) if rest == "quantised" else hard.Shattered(model)
    model = model.eval().requires_grad_(requires_grad=False)
    return Peer(model, chosen, images, found.label_tensor(), found.id_tensor())
