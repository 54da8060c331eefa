"""Takes a network as it lives in somebody's program, without changing it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from bench.errors import ArtefactError, UsageError
from bench.evaluation.plan.manifest import MANIFEST, manifest_beside
from bench.models.plain import duplicate, settle
from bench.models.probe import classes_of
from bench.models.source import LoadedModel, ModelRef, identity, names_file
from bench.models.source import load as by_reference
from bench.models.zoo.memory import SOURCE, hold
from bench.pruning.prune import Pruned
from bench.tensors import Images


def frozen(network: nn.Module | Pruned) -> nn.Module:
    """Return a copy on the CPU, in evaluation mode, with plain, frozen weights; the network itself stays as it is.

    Raises:
        UsageError: if it is no network, or cannot be copied.
    """
    module = network.network if isinstance(network, Pruned) else network
    if not isinstance(module, nn.Module):
        raise UsageError(f"a network is a torch.nn.Module that maps images in [0, 1] to logits, got {network!r}.")
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError("a TorchScript network cannot be frozen; hand over the module that it was made of.")
    try:
        return settle(duplicate(module).cpu())
    except Exception as error:  # noqa: BLE001 - whatever its modules raise when they are copied
        raise UsageError(
            f"{type(module).__name__} cannot be copied and frozen ({type(error).__name__}: {error}); hand over one "
            "that copy.deepcopy can copy and whose weights are all there."
        ) from None


def load(
    reference: str | Path,
    *,
    arch: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> nn.Module:
    """Return a network that the command line can name, from images in [0, 1] to logits, its normalisation inside.

    Args:
        reference: ``"embedded:NAME"``, ``"robustbench:DATASET/THREAT/NAME"``, ``"timm:NAME"``, or the path of a
            ``.safetensors`` file. What ``bench prune`` wrote says itself what it is.
        arch: of a file; see ``bench list architectures``.
        mean: of the input normalisation of a file, one number or one a channel; none where left out.
        std: likewise.

    Raises:
        UsageError: if the name is unknown, or a file comes without its architecture.
        InputError: if the weights are not at hand.
        ArtefactError: if they are unsafe or do not fit, or are not those that the manifest beside them tells of.
    """
    text, silent = str(reference), (arch, mean, std) == (None, None, None)
    told = manifest_beside(Path(text)) if silent and names_file(text) else None
    if told is not None:
        arch, mean, std = told.architecture, told.mean, told.std
    given = {"mean": None if mean is None else tuple(mean), "std": None if std is None else tuple(std)}
    loaded = by_reference(ModelRef.parse(text, architecture=arch, **given))
    if told is not None and loaded.digest != told.weights_sha256:
        raise ArtefactError(
            f"{text!r} has weights {loaded.digest[:12]}…, and the {MANIFEST} beside it tells of "
            f"{told.weights_sha256[:12]}…; if they were trained on, say what network they belong to by arch."
        )
    return loaded.classifier


def handed_over(network: nn.Module | Pruned, images: Images) -> ModelRef:
    """Return a reference to a copy of a network, for as long as this process lives."""
    copied = frozen(network)
    name = type(copied).__name__
    channels, height, width = images.shape[1:]
    ref, shape = ModelRef(SOURCE, name), (channels, height, width)
    loaded = LoadedModel(
        ref=ref,
        classifier=copied,
        architecture=name,
        shape=shape,
        classes=classes_of(copied, images),
        digest=identity(ref, copied, shape),
        notes={"source": "handed over in Python"},
    )
    return hold(loaded)
