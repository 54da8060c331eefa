"""Small networks with every part that pruning has to know: residuals, batch norm, attention, depthwise, dead blocks."""

import torch
from torch import Tensor, nn

from bench.pruning.recipe import Context, Training
from bench.threats import Norm, ThreatModel, exact


class Residual(nn.Module):
    """Two convolutions around a skip, with a second block that is built and never executed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.first = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(32)
        self.second = nn.Conv2d(32, 16, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(16)
        self.unused = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; ``unused`` plays no part."""
        hidden = self.norm(self.stem(images)).relu()
        inner = self.first_norm(self.first(hidden)).relu()
        hidden = (hidden + self.second_norm(self.second(inner))).relu()
        return self.head(hidden.mean(dim=(2, 3)))


class Attention(nn.Module):
    """Patches, one encoder layer whose projections lie outside of any Linear, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return self.head(self.layer(tokens).mean(dim=1))


class Depthwise(nn.Module):
    """An inverted residual as in MobileNet: expand, depthwise, project."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.expand = nn.Conv2d(16, 48, 1)
        self.expand_norm = nn.BatchNorm2d(48)
        self.depthwise = nn.Conv2d(48, 48, 3, padding=1, groups=48)
        self.depthwise_norm = nn.BatchNorm2d(48)
        self.project = nn.Conv2d(48, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        hidden = self.stem(images).relu()
        inner = self.expand_norm(self.expand(hidden)).relu()
        inner = self.depthwise_norm(self.depthwise(inner)).relu()
        return self.head((hidden + self.project(inner)).mean(dim=(2, 3)))


NETWORKS = {"residual": Residual, "attention": Attention, "depthwise": Depthwise}


def build(name: str, seed: int = 0) -> nn.Module:
    """Return a network with random weights, and batch norm that shifts, scales and has lived."""
    with torch.random.fork_rng(devices=[]):
        network = NETWORKS[name]()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            scale = 0.3 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=source) * scale)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.weight.copy_(torch.rand(module.weight.shape, generator=source) + 0.5)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=source) * 0.1)
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=source) + 0.5)
    return network.eval().requires_grad_(requires_grad=False)


def context(points: int = 24, seed: int = 0, **changes: object) -> Context:
    """Return 8x8 images with labels, an Linf ball of 1/10 and a training of two short epochs."""
    source = torch.Generator().manual_seed(7)
    images = torch.rand((points, 3, 8, 8), generator=source)
    labels = torch.randint(0, 10, (points,), generator=source)
    settings = {
        "example": images[:4],
        "seed": seed,
        "calibration": (images, labels),
        "threat": ThreatModel(Norm.LINF, exact("1/10")),
        "training": Training(epochs=2, batch=8, steps=2),
    }
    return Context(**settings | changes)


def kept(network: nn.Module, names: object) -> dict[str, Tensor]:
    """Return where the named weights are not zero."""
    return {name: network.get_parameter(name).detach() != 0 for name in names}
