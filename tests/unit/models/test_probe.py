import pytest
import torch
from torch import nn

from bench.errors import ArtefactError, ContractError
from bench.models.architecture import ARCHITECTURES
from bench.models.probe import probe


class Ending(nn.Module):
    """A linear classifier that ends in something."""

    def __init__(self, ending, outside=10):
        super().__init__()
        self.layer = nn.Linear(48, outside)
        self.ending = ending

    def forward(self, images):
        return self.ending(self.layer(images.flatten(1)))


def tried(network, classes=10):
    probe(network, (3, 4, 4), classes, where="'w'", what="'mine'")


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        (nn.Softmax(dim=1), "'mine' ends in softmax, and attacks need logits"),
        (nn.LogSoftmax(dim=1), "'mine' ends in log-softmax, and attacks need logits"),
        (lambda logits: (logits, logits), "should give a tensor of logits, got a tuple of 2 entries"),
        (lambda logits: {"logits": logits}, "should give a tensor of logits, got a dict of 1 entries"),
        (lambda logits: [logits], "should give a tensor of logits, got a list of 1 entries"),
        (lambda logits: None, "should give a tensor of logits, got a NoneType"),
        (lambda logits: logits[:, :1], "gives one logit per image"),
        (lambda logits: logits[:, 0], "gives one logit per image"),
        (lambda logits: logits.double(), "should give float32, got float64"),
        (lambda logits: logits.argmax(dim=1, keepdim=True).expand(-1, 10), "should give float32, got int64"),
        (lambda logits: logits / 0, "gives NaN or infinity for a black, a white or a noisy image"),
    ],
)
def test_what_is_no_row_of_logits_is_refused_with_one_sentence(ending, says):
    with pytest.raises(ContractError, match=says) as caught:
        tried(Ending(ending))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ending", [lambda logits: logits[..., None], lambda logits: logits[:3], lambda logits: logits.T]
)
def test_logits_of_another_shape_are_refused(ending):
    with pytest.raises(ArtefactError, match="should give 10 logits, got shape"):
        tried(Ending(ending))


@pytest.mark.parametrize("classes", [2, 3, 37, 1000])
def test_any_number_of_classes_above_one_will_do(classes):
    tried(Ending(nn.Identity(), classes), classes)


def test_logits_that_are_positive_or_small_are_logits():
    tried(Ending(nn.ReLU()))
    tried(Ending(nn.Sigmoid()))
    tried(Ending(lambda logits: logits * 0))
    tried(Ending(lambda logits: -logits.abs() - 5))


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AssertionError, IndexError, TypeError, KeyError])
def test_whatever_a_layer_raises_becomes_one_sentence(error):
    def fall(logits):
        raise error("first line\nsecond line")

    with pytest.raises(
        ArtefactError, match=r"do not fit each other in 'mine', or no 3×4×4 images \(.?first line"
    ) as caught:
        tried(Ending(fall))
    assert "\n" not in str(caught.value)


def test_the_mode_and_the_counters_of_a_network_stay():
    network = ARCHITECTURES["digits-resnet"].build().train()
    probe(network, (1, 8, 8), 10, where="'w'", what="'mine'")
    assert network.training
    assert int(network.bn1.num_batches_tracked) == 0
    with pytest.raises(ArtefactError, match="should give 7 logits"):
        probe(network, (1, 8, 8), 7, where="'w'", what="'mine'")
    assert torch.equal(network.bn1.running_mean, torch.zeros(16))


class Restless(nn.Module):
    """Rescales its weights whenever it is asked, as a few networks of the literature do."""

    def __init__(self, change, seed=0):
        super().__init__()
        self.layer = nn.Linear(48, 10)
        self.layer.weight.data = torch.randn(10, 48, generator=torch.Generator().manual_seed(seed))
        self.change = change

    def forward(self, images):
        self.layer.weight.data = self.change(self.layer.weight.data)
        return self.layer(images.flatten(1))


@pytest.mark.parametrize("seed", range(40))
def test_a_network_that_normalises_itself_is_left_where_it_rests_up_to_rounding(seed):
    network = Restless(nn.functional.normalize, seed)
    tried(network)
    rested = network.layer.weight.clone()
    network(torch.rand(1, 3, 4, 4))
    torch.testing.assert_close(network.layer.weight, rested, rtol=0, atol=2**-21)


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight * 0.5,
        lambda weight: weight * 0.9999,
        lambda weight: weight.mul_(0.5),
        lambda weight: weight.flip(0),
    ],
)
def test_a_network_that_never_rests_is_refused(change):
    with pytest.raises(ContractError, match=r"changes its own tensors whenever it is asked, such as 'layer\.weight'"):
        tried(Restless(change))
