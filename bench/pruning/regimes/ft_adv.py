"""Fine-tuning on PGD images."""

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime
from bench.pruning.training import adversarial, finetune


def ft_adv(network: nn.Module, masks: Masks, context: Context) -> None:
    """Train what is kept."""
    finetune(network, masks, context, adversarial(context), "ft-adv")


REGIMES.register("ft-adv")(
    Regime(
        name="ft-adv",
        follow=ft_adv,
        needs=Needs.TRAINING,
        version=1,
        source="Madry et al. 2018, arXiv:1706.06083",
    )
)
