"""Cut a network down to the shapes of a checkpoint whose channels were removed."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.models.architecture import Architecture, Shape
from bench.models.mending import explain, kin, misfit, shapes_of
from bench.models.probe import probe
from bench.models.weights import fill


def assemble(made: Architecture, tensors: Mapping[str, Tensor], *, where: str) -> nn.Module:
    """Return the network that these tensors are the weights of: cut down to their shapes, filled, and tried.

    ``where`` names the weights, quoted for a shell.

    Raises:
        ArtefactError: if names, shapes, types or the order of layers do not fit, naming the flag that mends it.
        ContractError: if the network does not give logits.
    """
    network, what = made.build(), f"architecture {made.name!r}"
    problem = explain(tensors, network.state_dict(), where=where, what=what)
    if problem is not None:
        raise problem
    fit(network, shapes_of(tensors), where=where, what=what)
    fill(network, tensors, where=where, what=what)
    probe(network, made.shape, made.classes, where=where, what=what)
    return network


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
        raise misfit(where, what, problems, kin(shapes))


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
            sizes = _sizes_of_numbers(module, stored)
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


def _sizes_of_numbers(module: nn.Module, stored: Mapping[str, Shape]) -> dict[str, int] | None:
    """Return nothing to set for a layer that keeps one buffered number of every channel, such as MeanSparse."""
    shapes = {shape for shape in stored.values() if shape}
    plain = len(shapes) == 1 and len(shapes.pop()) == 1
    return {} if plain and not dict(module.named_parameters(recurse=False)) else None
