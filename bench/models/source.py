"""From a model reference to a classifier."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.architecture import ARCHITECTURES, Architecture, Shape, Variant
from bench.models.probe import answers
from bench.models.trained import trained_beside
from bench.models.weights import refuse_infinite, refuse_pickled
from bench.registry import Registry
from bench.tensors import Images, Logits


class Normalised(nn.Module):
    """A network behind its input normalisation, so that everything outside speaks of pixels in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Wrap ``network``; one mean and one standard deviation per channel, or one for all."""
        super().__init__()
        self.network = network
        self.register_buffer(
            "mean", torch.tensor(mean, dtype=torch.float64).float().view(1, -1, 1, 1), persistent=False
        )
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64).float().view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Images) -> Logits:
        """Return the logits of images in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def names_file(text: str) -> bool:
    """Tell whether a reference is the path of a ``.safetensors`` file; after ``python:`` one may end so, too."""
    return text.endswith(".safetensors") and text.partition(":")[0] not in SOURCES


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A reference as typed: ``SOURCE:NAME``, or a path to a ``.safetensors`` file with its architecture.

    Attributes:
        source: key into SOURCES: ``embedded``, ``timm``, ``robustbench`` or ``checkpoint``.
        name: what that source knows it by; for ``checkpoint`` the path of the file.
        architecture, mean, std: given for ``checkpoint`` alone.
    """

    source: str
    name: str
    architecture: str | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        architecture: str | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ) -> "ModelRef":
        """Read a reference as the command line takes it; what ``bench train`` wrote says itself what it is.

        Raises:
            UsageError: for an unknown source, or options that do not go with it.
            ArtefactError: for a pickled file, which is never opened, or a record that is not of these weights.
        """
        if ":" not in text:
            refuse_pickled(Path(text))
        if names_file(text):
            if architecture is None:
                told = trained_beside(Path(text))
                if told is None:
                    raise UsageError(
                        f"{text!r} is a file of weights; say what network they belong to with --arch NAME."
                    )
                architecture, mean, std = told.architecture, mean or told.mean, std or told.std
            return cls("checkpoint", text, architecture, mean or (0.0,), std or (1.0,))
        source, colon, name = text.partition(":")
        if not colon or not name:
            raise UsageError(
                f"{text!r} is no model reference; write SOURCE:NAME (sources: {', '.join(SOURCES)}) "
                "or the path of a .safetensors file."
            )
        if architecture or mean or std:
            raise UsageError(f"--arch, --mean and --std go with a .safetensors file, and {text!r} is not one.")
        SOURCES[source]
        return cls(source, name)

    def __str__(self) -> str:
        """Spell the reference as it is typed; a file by its name alone, for records must not hold local paths."""
        return self.name.rsplit("/", 1)[-1] if self.source == "checkpoint" else f"{self.source}:{self.name}"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network that is ready to be pruned and attacked.

    Attributes:
        classifier: in evaluation mode, parameters frozen, on the CPU, normalisation inside.
        architecture: registered name, or the name within its source.
        shape: channels, height, width of the images it takes.
        classes: number of logits.
        whole: where channels of a checkpoint are gone, the network with all of them; its weights mean nothing.
        digest: which network it is; see ``identity``.
        file_digest: sha256 of the weights file, where there is one.
        notes: what a reader should know (training, source, licence), by key.
    """

    ref: ModelRef
    classifier: nn.Module
    architecture: str
    shape: tuple[int, int, int]
    classes: int
    digest: str
    file_digest: str | None = None
    whole: nn.Module | None = None
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A registered source of models.

    Attributes:
        load: a reference to its network.
        blank: a name to its architecture without weights, to read a checkpoint into; None where architectures are
            registered by name.
        names: the models it knows, one line of description each; empty where the list is open.
        at_hand: whether the weights of a name that it knows are on this machine.
        fetch: brings the weights of a name to this machine; returns where they lie.
        place: puts a file that the user has where the weights of a name are looked for.
        private: why nobody else can load a network from here, so that a run of one is for its owner alone; else empty.
    """

    load: Callable[[ModelRef], LoadedModel]
    names: Callable[[], dict[str, str]]
    says: str
    blank: Callable[[str], Architecture] | None = None
    private: str = ""
    fetch: Callable[[str], Path] | None = None
    place: Callable[[str, Path], Path] | None = None
    at_hand: Callable[[str], bool] = lambda _: True


SOURCES: Registry[ModelSource] = Registry("model source", "bench.models.zoo")


def architecture(name: str) -> Architecture:
    """Return what ``--arch`` names: a registered architecture or that of a source, ``resnet18`` or ``timm:NAME``.

    After a question mark stand the classes and the size of its images where they are not the usual ones:
    ``resnet18?num_classes=100``, ``timm:resnet18?num_classes=10&img_size=32``.

    Raises:
        UsageError: if nothing carries the name.
    """
    source, colon, rest = name.partition(":")
    if colon:
        blank = SOURCES[source].blank
        if blank is None:
            able = [f"{other}:NAME" for other in SOURCES if SOURCES[other].blank]
            raise UsageError(f"--arch {name!r} should be a registered architecture or {' or '.join(able)}.")
        return blank(rest)
    variant = Variant.parse(name)
    made = ARCHITECTURES[variant.name]
    if variant.channels not in {None, made.shape[0]}:
        raise UsageError(f"--arch {name!r}: {variant.name} takes images of {made.shape[0]} channels and no others.")
    return made.of(classes=variant.classes, shape=variant.shape(made.shape))


def sized(name: str, shapes: Mapping[str, Shape]) -> Architecture:
    """Return what ``--arch`` names, with the classes of a checkpoint of these shapes where none are said."""
    made = architecture(name)
    return made if Variant.parse(name).classes else made.telling(shapes)


def hold_task(
    loaded: LoadedModel,
    shape: tuple[int, int, int],
    classes: int,
    task: str,
    fitting: Callable[[LoadedModel], Sequence[str]] = lambda _: (),
) -> None:
    """Hold a network against the images and classes it is to be measured on; ``fitting`` names protocols that suit it.

    Raises:
        UsageError: if it takes other images or tells other classes apart, saying how to name what was meant.
    """
    if (loaded.shape, loaded.classes) == (shape, classes):
        return
    said = f"{loaded.ref} takes images of {_by(loaded.shape)} and tells {loaded.classes} classes apart"
    told = f"{task} has images of {_by(shape)} and {classes} classes"
    hint = ""
    if loaded.classes == classes and loaded.ref.source == "checkpoint" and loaded.shape[0] == shape[0]:
        name = Variant.parse(loaded.architecture).name
        size = str(shape[1]) if shape[1] == shape[2] else f"{shape[1]}x{shape[2]}"
        hint = f"; if it was trained on such images, say so: --arch '{name}?img_size={size}'"
    if others := fitting(loaded):
        hint += f"; those of {' or '.join(others)} fit it: --protocol {others[0]}"
    raise UsageError(f"{said}; {told}{hint}.")


def _by(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))


def load(ref: ModelRef) -> LoadedModel:
    """Load a model, frozen and in evaluation mode.

    Raises:
        UsageError: if nothing carries the name.
        InputError: if weights are not at hand, saying what to place where.
        ArtefactError: if weights are unsafe or do not fit the architecture.
        ContractError: if a weight is not finite.
    """
    loaded = SOURCES[ref.source].load(ref)
    refuse_infinite(loaded.classifier.state_dict(), str(ref))
    loaded.classifier.eval().requires_grad_(requires_grad=False)
    return loaded


@contextmanager
def placing(ref: ModelRef, path: Path) -> Iterator[None]:
    """Let weights be written to where they are looked for, and keep them only if the network loads from there.

    Raises:
        UsageError: if weights are there already.
    """
    if path.exists():
        raise UsageError(f"{ref} has weights at {path} already; remove them to place others.")
    yield
    try:
        SOURCES[ref.source].load(ref)
    except BaseException:
        path.unlink()
        raise


def state_digest(module: nn.Module) -> str:
    """Return the sha256 over names, shapes, types and bytes of a module's state, in name order.

    Buffers that are never saved count too: the same weights behind another normalisation are another classifier.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted((module.state_dict() | dict(module.named_buffers())).items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{tuple(plain.shape)}|{plain.dtype}|".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def identity(ref: ModelRef, module: nn.Module, shape: tuple[int, int, int]) -> str:
    """Return the digest by which a network is told from others: of its state, where its code is known by name.

    What somebody's own code computes from the same weights may change with every edit, so there the digest is of the
    answers, too.
    """
    state = state_digest(module)
    if not SOURCES[ref.source].private:
        return state
    return hashlib.sha256(f"{state}|{answers(module, shape)}".encode()).hexdigest()
