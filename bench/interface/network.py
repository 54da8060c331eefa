"""Takes a network as it lives in somebody's program, without changing it."""

from torch import nn

from bench.errors import UsageError
from bench.models.plain import duplicate, settle
from bench.models.probe import classes_of
from bench.models.source import LoadedModel, ModelRef, state_digest
from bench.models.zoo.memory import SOURCE, hold
from bench.tensors import Images


def frozen(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in evaluation mode, with plain, frozen weights; the network itself stays as it is.

    Raises:
        UsageError: if it is no network, or cannot be copied.
    """
    if not isinstance(network, nn.Module):
        raise UsageError(f"a network is a torch.nn.Module that maps images in [0, 1] to logits, got {network!r}.")
    try:
        return settle(duplicate(network).cpu())
    except Exception as error:  # noqa: BLE001 - whatever its modules raise when they are copied
        raise UsageError(
            f"{type(network).__name__} cannot be copied ({type(error).__name__}: {error}); hand over a network that "
            "copy.deepcopy can copy."
        ) from None


def handed_over(network: nn.Module, images: Images) -> ModelRef:
    """Return a reference to a copy of a network, for as long as this process lives."""
    copied = frozen(network)
    name = type(network).__name__
    channels, height, width = images.shape[1:]
    loaded = LoadedModel(
        ref=ModelRef(SOURCE, name),
        classifier=copied,
        architecture=name,
        shape=(channels, height, width),
        classes=classes_of(copied, images),
        digest=state_digest(copied),
        notes={"source": "handed over in Python"},
    )
    return hold(loaded)
