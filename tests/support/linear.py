"""Linear classifiers with images whose distances to the boundary are known in closed form, in every norm."""

import torch
from torch import nn

from bench.threats import Norm
from tests.support.sparse_oracle import linear_needed


class LinearClassifier(nn.Module):
    """Logits W·x + b, computed in double precision so that batch mates leave no trace in the last bit."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, images):
        return (images.flatten(1).double() @ self.weight.double().T + self.bias.double()).float()

    @torch.no_grad()
    def distance(self, images, labels, norm):
        """Return each image's distance to the nearest other class; Linf and L2 as if there were no box."""
        if norm is Norm.L0:
            return linear_needed(self.weight, self.bias, images, labels)
        logits = images.flatten(1).double() @ self.weight.double().T + self.bias.double()
        apart = logits.gather(1, labels[:, None]) - logits
        dual = (self.weight.double()[labels][:, None] - self.weight.double()).norm(
            p=1 if norm is Norm.LINF else 2, dim=2
        )
        return (apart / dual).scatter(1, labels[:, None], torch.inf).amin(dim=1).float()


def linear_problem(points=32, classes=10, shape=(3, 8, 8), seed=0):
    """Return a classifier, images in the middle of the box, and its own predictions as labels.

    The nearest boundary lies well inside the box in Linf and L2, which the test of this module checks.
    """
    generator = torch.Generator().manual_seed(seed)
    size = shape[0] * shape[1] * shape[2]
    weight = torch.randn(classes, size, generator=generator)
    images = 0.5 + 0.05 * torch.randn(points, *shape, generator=generator).clamp(-2, 2)
    bias = -weight.sum(dim=1) / 2
    model = LinearClassifier(weight, bias).eval()
    return model, images, model(images).argmax(dim=1)


class SmallNetwork(nn.Module):
    """A convolution and two linear layers with seeded weights, in double precision."""

    def __init__(self, shape=(3, 8, 8), classes=10, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.filters = nn.Parameter(torch.randn(6, shape[0], 3, 3, generator=generator) / 3)
        self.hidden = nn.Parameter(torch.randn(24, 6 * shape[1] * shape[2], generator=generator) / 16)
        self.out = nn.Parameter(torch.randn(classes, 24, generator=generator))

    def forward(self, images):
        features = nn.functional.conv2d(images.double() - 0.5, self.filters.double(), padding=1).tanh()
        return ((features.flatten(1) @ self.hidden.double().T).relu() @ self.out.double().T).float()


class Constant(nn.Module):
    """Answers the same logits whatever it sees, the first class highest; every gradient is zero."""

    def __init__(self, classes=10):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        logits = torch.zeros(self.classes)
        logits[0] = 1.0
        return logits + 0 * images.flatten(1).sum(dim=1, keepdim=True)
