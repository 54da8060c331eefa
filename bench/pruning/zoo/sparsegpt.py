"""SparseGPT: drop the weights that the rest can make up for best, layer by layer, and let the rest do so."""

from fractions import Fraction

from torch import nn

from bench.pruning.adversary import calibration_of
from bench.pruning.allocation import uniform_quota
from bench.pruning.masks import chosen_weights, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Needs, Recipe, Reconstructed, Scope, Structure
from bench.pruning.reconstruction import reconstruct


def sparsegpt(network: nn.Module, sparsity: Fraction, context: Context) -> Reconstructed:
    """Keep the largest w² / [H⁻¹]² of every 128 columns, H the damped second moments of the inputs of the layer.

    The error that a weight leaves is carried over to the columns after it. All layers have the same sparsity.

    Source: Frantar & Alistarh 2023, arXiv:2301.00774.
    Differs from the source: see ``bench.pruning.reconstruction``; the classifier is pruned too.
    """
    weights = chosen_weights(network, context)
    quota = uniform_quota(weights, kept_wanted(weights, sparsity))
    return reconstruct(network, weights, quota, calibration_of(context, "sparsegpt")[0])


RECIPES.register("sparsegpt")(
    Recipe(
        name="sparsegpt",
        decide=sparsegpt,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.CALIBRATION,
        version=1,
        source="Frantar & Alistarh 2023, arXiv:2301.00774",
        nested=False,
        rewrites=True,
    )
)
