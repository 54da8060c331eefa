"""Batch-norm recalibration on adversarial training images."""

from torch import nn

from bench.pruning.adversary import calibration_of, pgd, threat_of
from bench.pruning.recipe import Context, Masks, Needs
from bench.pruning.regime import REGIMES, Regime
from bench.pruning.training import recalibrate


def bn_adv(network: nn.Module, masks: Masks, context: Context) -> None:
    """Renew the statistics of batch norm on PGD images; no weight moves.

    The images are crafted after a recalibration on clean ones: against stale statistics there is nothing to attack.

    Source: PGD of Madry et al. 2018, arXiv:1706.06083; recalibration of Li et al. 2020, arXiv:2007.02491.
    """
    del masks
    threat = threat_of(context, "bn-adv")
    images, labels = calibration_of(context, "bn-adv")
    training = context.training
    recalibrate(network, images, training.batch)
    moved = pgd(
        network,
        images,
        labels,
        threat,
        steps=training.steps,
        seed=context.seed,
        purpose="bn-adv",
        batch=training.batch,
    )
    recalibrate(network, moved, training.batch)


REGIMES.register("bn-adv")(
    Regime(
        name="bn-adv",
        follow=bn_adv,
        needs=Needs.CALIBRATION,
        version=1,
        source="Li et al. 2020, arXiv:2007.02491",
    )
)
