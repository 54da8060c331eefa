"""Cut a network down to the shapes of a checkpoint whose channels were removed."""

from collections.abc import Mapping

import torch
from torch import nn

from bench.errors import ArtefactError
from bench.models.weights import misfit

Shape = tuple[int, ...]


def fit(network: nn.Module, shapes: Mapping[str, Shape], *, where: str, what: str) -> None:
    """Make every convolution, linear layer and batch norm of ``network`` as small as ``shapes`` say, in place.

    The new parameters hold nothing yet; ``weights.fill`` comes next and refuses names that do not agree. Only the
    numbers of channels and features change, and they only shrink; nothing of the checkpoint is executed or traced.

    Raises:
        ArtefactError: if a shape is not that of a smaller sibling.
    """
    problems: list[str] = []
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        stored = {name: shapes[prefix + name] for name in own if prefix + name in shapes}
        if all(stored[name] == tuple(own[name].shape) for name in stored):
            continue
        problems += [
            f"{prefix + name!r} should have shape {tuple(own[name].shape)} or smaller, got {shape}"
            for name, shape in stored.items()
            if not _shrinks(shape, tuple(own[name].shape))
        ]
        if not problems and not _resize(module, stored):
            problems.append(f"{prefix.removesuffix('.')!r} cannot be made as small as its tensors")
    if problems:
        raise misfit(where, what, problems)


def _shrinks(stored: Shape, dense: Shape) -> bool:
    return len(stored) == len(dense) and all(1 <= small <= large for small, large in zip(stored, dense, strict=True))


def _resize(module: nn.Module, stored: Mapping[str, Shape]) -> bool:
    """Change one layer; False where its shapes do not fit together or its kind is unknown."""
    match module:
        case nn.Conv2d():
            sizes = _conv_sizes(module, stored)
        case nn.Linear():
            sizes = _linear_sizes(module, stored)
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            sizes = _norm_sizes(stored)
        case _:
            sizes = None
    if sizes is None:
        return False
    for name, size in sizes.items():
        setattr(module, name, size)
    for name, shape in stored.items():
        old = module.get_parameter(name) if name in dict(module.named_parameters()) else module.get_buffer(name)
        empty = torch.zeros(shape, dtype=old.dtype)
        setattr(module, name, nn.Parameter(empty) if isinstance(old, nn.Parameter) else empty)
    return True


def _conv_sizes(module: nn.Conv2d, stored: Mapping[str, Shape]) -> dict[str, int] | None:
    if set(stored) != {name for name, _ in module.named_parameters()}:
        return None
    out, inside, *kernel = stored["weight"]
    if tuple(kernel) != tuple(module.kernel_size) or stored.get("bias", (out,)) != (out,):
        return None
    if module.groups == 1:
        return {"out_channels": out, "in_channels": inside}
    if module.groups == module.in_channels == module.out_channels and inside == 1:
        return {"out_channels": out, "in_channels": out, "groups": out}
    return None


def _linear_sizes(module: nn.Linear, stored: Mapping[str, Shape]) -> dict[str, int] | None:
    if set(stored) != {name for name, _ in module.named_parameters()}:
        return None
    out, inside = stored["weight"]
    return {"out_features": out, "in_features": inside} if stored.get("bias", (out,)) == (out,) else None


def _norm_sizes(stored: Mapping[str, Shape]) -> dict[str, int] | None:
    sizes = {shape for name, shape in stored.items() if name != "num_batches_tracked"}
    return {"num_features": sizes.pop()[0]} if len(sizes) == 1 else None


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    """Return the table of shapes of a state dict."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def probe(network: nn.Module, shape: tuple[int, int, int], classes: int, *, where: str, what: str) -> None:
    """Run one blank image through a network, to see that its layers fit each other.

    Raises:
        ArtefactError: if they do not.
    """
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            logits = network(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ArtefactError(
            f"{where}: its layers do not fit each other in {what} ({str(error).splitlines()[0]})."
        ) from None
    finally:
        network.train(was)
    if logits.shape != (1, classes):
        raise ArtefactError(f"{where}: {what} should give {classes} logits, got shape {tuple(logits.shape)}.")
