"""Fine-tuning on clean and adversarial images together."""

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime
from bench.pruning.training import finetune, trades


def ft_trades(network: nn.Module, masks: Masks, context: Context) -> None:
    """Train what is kept."""
    finetune(network, masks, context, trades(context), "ft-trades")


REGIMES.register("ft-trades")(
    Regime(
        name="ft-trades",
        follow=ft_trades,
        needs=Needs.TRAINING,
        version=1,
        source="Zhang et al. 2019, arXiv:1901.08573",
    )
)
