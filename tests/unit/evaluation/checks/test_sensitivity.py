"""Gradients do not depend on how many images are passed at once."""

import torch

from bench.evaluation.checks.sensitivity import LOSSES, input_gradients


class Means:
    """A logit for each channel: a hundred times the mean of its squares; counts the images of its largest pass."""

    def __init__(self):
        self.most = 0

    def __call__(self, images):
        self.most = max(self.most, len(images))
        return 100 * images.square().mean(dim=(2, 3))


def test_large_images_are_differentiated_one_by_one_with_the_same_result():
    model = Means()
    images = torch.rand(3, 4, 800, 600, generator=torch.Generator().manual_seed(0))
    clean = 100 * images.square().mean(dim=(2, 3))
    found = input_gradients(model, images, torch.tensor([0, 1, 2]), clean)
    assert model.most == 1
    assert set(found) == set(LOSSES)
    for point, label in enumerate((0, 1, 2)):
        other = clean[point].scatter(0, torch.tensor(label), -torch.inf).argmax()
        expected = torch.zeros_like(images[0])
        expected[label] = 200 * images[point, label] / (800 * 600)
        expected[other] = -200 * images[point, other] / (800 * 600)
        torch.testing.assert_close(found["margin"][point], expected)
