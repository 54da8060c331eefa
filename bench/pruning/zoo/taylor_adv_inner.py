"""Adversarial saliency of inner channels: remove those whose absence changes the loss on PGD images least."""

from fractions import Fraction

from torch import nn

from bench.pruning.gradients import adversarial_gradients, saliency
from bench.pruning.groups import channel_sums
from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, inner_groups

SPARE = Fraction(1, 20)


def taylor_adv_inner(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep the channels with the largest Σ |w · ∂L/∂w| over all parameters that go with them, in one global order.

    At least a twentieth of every group stays.

    Source: Molchanov et al. 2019, arXiv:1906.10771; on PGD images, Madry et al. 2018, arXiv:1706.06083.
    """
    groups = inner_groups(network, context)
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    coupled = {name: parameters[name] for group in groups for name, _ in group.owners if name in parameters}
    terms = saliency(coupled, adversarial_gradients(network, coupled, context, "taylor-adv-inner"))
    return choose(network, groups, channel_sums(groups, terms), sparsity, context, spare=SPARE)


RECIPES.register("taylor-adv-inner")(
    Recipe(
        name="taylor-adv-inner",
        decide=taylor_adv_inner,
        structure=Structure.CHANNEL,
        scope=Scope.GLOBAL,
        needs=Needs.CALIBRATION,
        version=1,
        source="Molchanov et al. 2019, arXiv:1906.10771",
        nested=True,
    )
)
