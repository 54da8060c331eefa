"""Batch-norm recalibration on clean training images."""

from torch import nn

from bench.pruning.adversary import calibration_of
from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime
from bench.pruning.training import recalibrate


def bn(network: nn.Module, masks: Masks, context: Context) -> None:
    """Renew the statistics of batch norm; no weight moves."""
    del masks
    images, _ = calibration_of(context, "bn")
    recalibrate(network, images, context.training.batch)


REGIMES.register("bn")(
    Regime(
        name="bn",
        follow=bn,
        needs=Needs.CALIBRATION,
        version=1,
        source="Li et al. 2020, arXiv:2007.02491",
    )
)
