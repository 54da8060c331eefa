"""Fine-tuning on clean images."""

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime
from bench.pruning.training import finetune, natural


def ft(network: nn.Module, masks: Masks, context: Context) -> None:
    """Train what is kept."""
    finetune(network, masks, context, natural(context), "ft")


REGIMES.register("ft")(
    Regime(
        name="ft",
        follow=ft,
        needs=Needs.TRAINING,
        version=1,
        source="Han et al. 2015, arXiv:1506.02626",
    )
)
