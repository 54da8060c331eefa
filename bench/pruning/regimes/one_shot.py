"""Nothing follows pruning: the network is attacked as it is."""

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime


def one_shot(network: nn.Module, masks: Masks, context: Context) -> None:
    """Leave the network as pruned."""
    del network, masks, context


REGIMES.register("one-shot")(
    Regime(
        name="one-shot",
        follow=one_shot,
        needs=Needs.NOTHING,
        version=1,
        source="Blalock et al. 2020, arXiv:2003.03033",
    )
)
