"""The contract of a pruning recipe: what it is given, what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from bench.registry import Registry
from bench.tensors import Images
from bench.threats import ThreatModel

Masks: TypeAlias = Mapping[str, Bool[Tensor, "..."]]
"""Keep (True) or drop (False) per weight, by parameter name as in ``state_dict``; a missing name keeps all."""


Calibration: TypeAlias = tuple[Float[Tensor, "points channels height width"], Int[Tensor, " points"]]
"""Training images in [0, 1] with their labels."""


class Channels(dict[str, tuple[int, ...]]):
    """Kept output channels by module name, in rising order, for structured recipes; a missing name keeps all."""


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """What a recipe returns that also moves the weights that stay.

    Attributes:
        weights: by parameter name, zero where the mask says drop; what is not named stays as it is.
    """

    masks: Masks
    weights: Mapping[str, Float[Tensor, "..."]]


class Structure(StrEnum):
    """Which patterns of zeros a recipe makes."""

    DENSE = "dense"
    UNSTRUCTURED = "unstructured"
    TWO_OF_FOUR = "2of4"
    CHANNEL = "channel"
    """Channels are physically removed."""


class Scope(StrEnum):
    """Over what a recipe ranks its importance scores."""

    NONE = "none"
    GLOBAL = "global"
    LAYER = "layer"


class Needs(StrEnum):
    """What a recipe has to be given beyond the weights."""

    NOTHING = "nothing"
    CALIBRATION = "calibration"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Training:
    """How recipes and regimes train, by stochastic gradient descent with a cosine schedule.

    Attributes:
        epochs: passes over the training images.
        batch: images a step.
        rate: first learning rate.
        decay: weight decay.
        steps: of the PGD attack that adversarial training looks at.
        beta: weight of the robust term in TRADES.
    """

    epochs: int = 20
    batch: int = 128
    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 5e-4
    steps: int = 10
    beta: float = 6.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a recipe may look at besides the network.

    Attributes:
        example: one batch of images in [0, 1], to see which weights a forward pass reaches.
        seed: of the recipe's own random numbers.
        calibration: training images with labels, for recipes and regimes that need them.
        threat: radius for recipes and regimes that use adversarial gradients.
        training: for recipes and regimes that train.
        keep: layers that stay whole, by module path; every weight still counts for the sparsity asked for.
    """

    example: Images
    seed: int = 0
    calibration: Calibration | None = None
    threat: ThreatModel | None = None
    training: Training = field(default_factory=Training)
    keep: frozenset[str] = frozenset()


@runtime_checkable
class Decide(Protocol):
    """The function behind a recipe."""

    def __call__(self, network: nn.Module, sparsity: Fraction, context: Context) -> Masks | Channels | Reconstructed:
        """Return what to keep; the network stays untouched.

        ``sparsity`` is the share of prunable weights to set to zero (structured: of parameters to remove).
        """
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """A registered recipe.

    Attributes:
        version: raised whenever its masks change; golden mask hashes hold it.
        source: the paper, with its arXiv id.
        nested: what is kept at a higher sparsity is kept at every lower one.
        rewrites: the weights that stay are moved too, to make up for those that go.
    """

    name: str
    decide: Decide
    structure: Structure
    scope: Scope
    needs: Needs
    version: int
    source: str
    nested: bool
    rewrites: bool = False


RECIPES: Registry[Recipe] = Registry("recipe", "bench.pruning.zoo", "prunebench.recipes")
