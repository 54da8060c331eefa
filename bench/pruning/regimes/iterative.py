"""The iterative schedule: prune by a factor of two, train until the epochs are over, and again up to the target."""

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime, doubling
from bench.pruning.training import finetune, natural


def iterative(network: nn.Module, masks: Masks, context: Context) -> None:
    """Train what is kept, once a stage.

    Source: the prune and retrain schedule of Merkle et al. 2021, arXiv:2108.08560.
    Differs from the source: a fixed number of epochs a stage, the same for all, where the source stops early.
    """
    finetune(network, masks, context, natural(context), "iterative")


REGIMES.register("iterative")(
    Regime(
        name="iterative",
        follow=iterative,
        needs=Needs.TRAINING,
        version=1,
        source="Merkle et al. 2021, arXiv:2108.08560",
        stages=doubling,
    )
)
