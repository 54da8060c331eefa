"""Fold what computes a weight from several tensors into that weight."""

import re
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.errors import ArtefactError, UsageError

_PARAMETRISED = re.compile(r"(?:(.*)\.)?parametrizations\.([^.]+)\.(.+)")
_SCORES = "popup_scores"


def fold(tensors: Mapping[str, Tensor], kept: float | None = None) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors with every weight in one piece, and a sentence for each kind of piece that was folded.

    Folded are masks (``torch.nn.utils.prune``, or a 0/1 ``weight_mask`` or ``mask`` beside its weight), weight and
    spectral norm of both generations, masks and norms by ``torch.nn.utils.parametrize``, and HYDRA's ``popup_scores``,
    of which ``kept`` is the share of each layer that stays. What a mask removes becomes exactly zero.

    Raises:
        ArtefactError: if pieces do not fit, or the file does not say what is computed from them.
        UsageError: if ``kept`` is needed, or given and not needed.

    Source: Salimans and Kingma 2016, arXiv:1602.07868; Miyato et al. 2018, arXiv:1802.05957; Sehwag et al. 2020,
    arXiv:2002.10509.
    """
    folder = _Folder(dict(tensors))
    folder.parametrizations()
    folder.masks()
    folder.norms()
    folder.scores(kept)
    return folder.tensors, folder.told()


class _Folder:
    """Replaces pieces by weights, keeping the order of the file."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self._counts: dict[str, int] = defaultdict(int)
        self._masked = [0, 0]

    def told(self) -> list[str]:
        sentences = [f"{kind} folded into {count} tensor{'s' * (count != 1)}" for kind, count in self._counts.items()]
        zeros, numbers = self._masked
        return [*sentences, f"masks leave {numbers - zeros:,} of {numbers:,} numbers"] if numbers else sentences

    def put(self, kind: str, name: str, pieces: list[str], weight: Tensor) -> None:
        """Put ``weight`` where the first of its pieces stands."""
        if name in self.tensors and name not in pieces:
            raise ArtefactError(
                f"{name!r} stands beside {pieces[0]!r}, which it is computed from; which one counts is not said."
            )
        first = next(other for other in self.tensors if other in pieces)
        self.tensors = {
            (name if other == first else other): (weight if other == first else tensor)
            for other, tensor in self.tensors.items()
            if other == first or other not in pieces
        }
        self._counts[kind] += 1

    def masked(self, name: str, weight: Tensor, mask: Tensor) -> Tensor:
        """Return the weight with exact zeros where the mask has them."""
        _match(name, weight, mask.shape == weight.shape, f"a mask of shape {tuple(mask.shape)}")
        if not ((mask == 0) | (mask == 1)).all():
            raise ArtefactError(
                f"the mask of {name!r} should hold zeros and ones alone; multiply it in and save again."
            )
        self._masked[0] += int((mask == 0).sum())
        self._masked[1] += mask.numel()
        return torch.where(mask == 0, torch.zeros_like(weight), weight)

    def masks(self) -> None:
        for mask in [name for name in self.tensors if name.endswith("mask")]:
            prefix, _, last = mask.rpartition(".")
            name = _joined(prefix, "weight" if last == "mask" else last.removesuffix("_mask"))
            for source in (f"{name}_orig", name):
                beside = source == name and source in self.tensors
                if beside and (source == mask or self.tensors[source].shape != self.tensors[mask].shape):
                    continue  # a buffer that is called so, and no mask of these weights
                if source in self.tensors:
                    weight = self.masked(name, self.tensors[source], self.tensors[mask])
                    self.put("masks", name, [source, mask], weight)
                    break

    def norms(self) -> None:
        """Fold the norms of ``torch.nn.utils.weight_norm`` and ``spectral_norm``."""
        for name in [name.removesuffix("_g") for name in self.tensors if name.endswith("_g")]:
            pieces = [f"{name}_g", f"{name}_v"]
            if pieces[1] in self.tensors:
                length, direction = (self.tensors[piece] for piece in pieces)
                self.put("weight norm", name, pieces, weight_norm(name, length, direction))
        for name in [name.removesuffix("_orig") for name in self.tensors if name.endswith("_orig")]:
            pieces = [f"{name}_orig", f"{name}_u", f"{name}_v"]
            if pieces[1] not in self.tensors or pieces[2] not in self.tensors:
                raise ArtefactError(
                    f"{pieces[0]!r} stands without what it is multiplied by ({name}_mask, or {name}_u and {name}_v); "
                    "make pruning permanent with torch.nn.utils.prune.remove and save again."
                )
            self.put("spectral norm", name, pieces, spectral_norm(name, *(self.tensors[piece] for piece in pieces)))

    def parametrizations(self) -> None:
        groups: dict[str, dict[str, str]] = defaultdict(dict)
        for full in self.tensors:
            if found := _PARAMETRISED.fullmatch(full):
                groups[_joined(found[1] or "", found[2])][found[3]] = full
        for name, pieces in groups.items():
            parts = {piece: self.tensors[full] for piece, full in pieces.items()}
            match sorted(parts):
                case ["original0", "original1"]:
                    kind, weight = "weight norm", weight_norm(name, parts["original0"], parts["original1"])
                case ["0._u", "0._v", "original"]:
                    kind = "spectral norm"
                    weight = spectral_norm(name, parts["original"], parts["0._u"], parts["0._v"])
                case ["0.mask", "original"]:
                    kind, weight = "masks", self.masked(name, parts["original"], parts["0.mask"])
                case held:
                    raise ArtefactError(
                        f"{name!r} is parametrised, and the file holds {', '.join(held)} alone, not what they compute; "
                        "call torch.nn.utils.parametrize.remove_parametrizations and save again."
                    )
            self.put(kind, name, list(pieces.values()), weight)

    def scores(self, kept: float | None) -> None:
        found = [name for name in self.tensors if name.rpartition(".")[2] == _SCORES]
        if not found:
            if kept is not None:
                raise UsageError(f"--kept says how {_SCORES} are cut off, and this file has none; leave it out.")
            return
        rates = [name for name in self.tensors if name.rpartition(".")[2] == "k_score"]
        if rates:
            raise ArtefactError(
                f"{rates[0]!r} gives every layer a rate of its own, which {_SCORES} are cut off by; "
                "multiply the masks in with the code that made them, and save the dense state dict."
            )
        if kept is None:
            raise UsageError(
                f"{len(found)} layers hold {_SCORES}, which do not say how many weights of a layer stay; "
                "say it with --kept, such as --kept 0.1 for HYDRA's k = 0.1."
            )
        for name in found:
            weight = _joined(name.rpartition(".")[0], "weight")
            if weight not in self.tensors:
                raise ArtefactError(f"{name!r} stands without {weight!r}.")
            mask = hydra_mask(name, self.tensors[name], kept)
            self.put(_SCORES, weight, [weight, name], self.masked(weight, self.tensors[weight], mask))


def weight_norm(name: str, length: Tensor, direction: Tensor) -> Tensor:
    """Return ``g · v / ‖v‖``; the axis that has a length of its own is read from the shape of ``g``."""
    axes = [axis for axis, size in enumerate(length.shape) if size != 1]
    fits = len(axes) <= 1 and length.ndim in {0, direction.ndim}
    fits = fits and all(length.shape[axis] == direction.shape[axis] for axis in axes)
    _match(name, direction, fits, f"lengths of shape {tuple(length.shape)}")
    others = [axis for axis in range(direction.ndim) if axis not in axes]
    exact = direction.double()
    norm = torch.linalg.vector_norm(exact, dim=others, keepdim=True)
    return (exact * (length.double() / norm)).to(direction.dtype)


def spectral_norm(name: str, weight: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the weight over ``uᵀWv``, its largest singular value as training estimated it, along the first axis."""
    fits = weight.ndim > 1 and left.shape == weight.shape[:1] and right.shape == weight[0].reshape(-1).shape
    _match(name, weight, fits, f"vectors of lengths {left.numel()} and {right.numel()}")
    exact = weight.double()
    return (exact / (left.double() @ exact.flatten(1) @ right.double())).to(weight.dtype)


def hydra_mask(name: str, scores: Tensor, kept: float) -> Tensor:
    """Return where a layer's weights stay: ``int((1 − k) · n)`` of them with the lowest scores by magnitude go.

    Raises:
        UsageError: if the share is not in (0, 1].
        ArtefactError: if equal scores stand on both sides of the cut, for the file does not say which of them goes.
    """
    if not 0 < kept <= 1:
        raise UsageError(f"--kept is a share above 0 and at most 1, got {kept:g}.")
    gone = int((1 - kept) * scores.numel())  # rounded as HYDRA rounds it
    ranked, order = scores.abs().flatten().sort(stable=True)
    if gone > 0 and ranked[gone - 1] == ranked[gone]:
        raise ArtefactError(
            f"{name!r}: scores that are equal stand on both sides of the cut at --kept {kept:g}, "
            "so which weights stay is not said; multiply the masks in with the code that made them, and save again."
        )
    mask = torch.ones_like(ranked)
    mask[order[:gone]] = 0
    return mask.view(scores.shape)


def _match(name: str, weight: Tensor, fits: bool, pieces: str) -> None:  # noqa: FBT001 - a verdict, not a switch
    if not fits:
        raise ArtefactError(f"{name!r} has shape {tuple(weight.shape)}, and {pieces} do not go with it.")


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
