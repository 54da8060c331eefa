"""Problems whose smallest pixel-wise L0 perturbation is known: linear models, and small images by enumeration."""

import itertools

import torch
from torch import nn


class LinearProblem(nn.Module):
    """A random linear classifier with images that it classifies correctly.

    Attributes:
        images, labels, ids: the points; labels are the model's own predictions.
        needed: smallest number of pixels per point that changes the prediction, computed in closed form.
    """

    def __init__(self, points: int, shape: tuple[int, int, int], classes: int = 10, seed: int = 0, scale: float = 1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        size = shape[0] * shape[1] * shape[2]
        self.weight = torch.randn(classes, size, generator=generator) / size**0.5
        self.images = torch.rand(points, *shape, generator=generator)
        self.images = torch.where(self.images < 0.3, 0.0, self.images)
        towards = self.weight[torch.randint(classes, (points,), generator=generator)].view(points, *shape)
        self.images = (self.images + scale * towards).clamp(0, 1)
        self.bias = -(self.images.flatten(1) @ self.weight.T).mean(dim=0)
        self.ids = torch.arange(points)
        self.labels = self(self.images).argmax(dim=1)
        self.needed = linear_needed(self.weight, self.bias, self.images, self.labels)

    def forward(self, images):
        return images.flatten(1) @ self.weight.T + self.bias


def linear_needed(weight, bias, images, labels):
    """Return the fewest pixels that make another class overtake the label.

    A pixel can lower the margin to class t by sum_c max(w_c x_c, -w_c (1 - x_c)), w = W_label - W_t; the fewest
    pixels are the largest gains whose sum exceeds the margin, over the best class.
    """
    flat = images.double().flatten(2)
    weights = weight.double().view(len(weight), *flat.shape[1:])
    logits = images.double().flatten(1) @ weight.double().T + bias.double()
    needed = torch.full((len(images),), torch.inf, dtype=torch.float64)
    for target in range(len(weight)):
        w = weights[labels] - weights[target]
        gains = torch.maximum(w * flat, -w * (1 - flat)).sum(dim=1).sort(dim=1, descending=True).values.cumsum(dim=1)
        margin = logits.gather(1, labels[:, None])[:, 0] - logits[:, target]
        enough = gains > margin[:, None]
        first = torch.where(enough.any(dim=1), enough.double().argmax(dim=1) + 1.0, torch.inf)
        needed = torch.where(labels == target, needed, torch.minimum(needed, first))
    return needed.float()


def enumerated(model, images, labels, most=2):
    """Return the fewest pixels, up to ``most``, that change the prediction with colours from the corners of the box."""
    needed = torch.where(model(images).argmax(dim=1) != labels, 0.0, torch.inf)
    colours = list(itertools.product((0.0, 1.0), repeat=images.shape[1]))
    size = images.shape[2] * images.shape[3]
    for k in range(1, most + 1):
        for image in (needed > k).nonzero().flatten().tolist():
            trials = list(
                itertools.product(itertools.combinations(range(size), k), itertools.product(colours, repeat=k))
            )
            places = torch.tensor([places for places, _ in trials])
            paints = torch.tensor([paint for _, paint in trials]).transpose(1, 2)
            batch = images[image].flatten(1).expand(len(trials), -1, -1).clone()
            batch.scatter_(2, places[:, None].expand(-1, images.shape[1], -1), paints)
            if (model(batch.view(-1, *images.shape[1:])).argmax(dim=1) != labels[image]).any():
                needed[image] = k
    return needed
