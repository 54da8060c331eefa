"""Models from a safetensors file whose architecture is named beside it."""

from pathlib import Path

from bench.errors import UsageError
from bench.models.fit import assemble
from bench.models.mending import shapes_of
from bench.models.source import (
    SOURCES,
    LoadedModel,
    ModelRef,
    ModelSource,
    Normalised,
    architecture,
    sized,
    state_digest,
)
from bench.models.weights import file_digest, read


def load(ref: ModelRef) -> LoadedModel:
    """Load the weights into the architecture named, with the classes that they tell apart.

    Where channels were removed, the network is cut down to the shapes of the file.
    """
    named, path = ref.architecture or "", Path(ref.name)
    _fits_channels(ref, architecture(named).shape[0])
    tensors = read(path)
    shapes = shapes_of(tensors)
    made = sized(named, shapes)
    network, whole = assemble(made, tensors, where=repr(path.name)), None
    if made.shapes() != shapes_of(network.state_dict()):
        whole = Normalised(made.build(), ref.mean, ref.std).eval().requires_grad_(requires_grad=False)
    classifier = Normalised(network, ref.mean, ref.std)
    return LoadedModel(
        ref=ref,
        classifier=classifier,
        architecture=made.name,
        shape=made.shape,
        classes=made.classes,
        whole=whole,
        digest=state_digest(classifier),
        file_digest=file_digest(path),
        notes={"file": path.name},
    )


def _fits_channels(ref: ModelRef, channels: int) -> None:
    for option, values in (("--mean", ref.mean), ("--std", ref.std)):
        if len(values) not in {1, channels}:
            raise UsageError(f"{option} takes one value or one per channel, {channels} here; got {len(values)}.")
    if any(value <= 0 for value in ref.std):
        raise UsageError(f"--std takes positive values, got {', '.join(map(str, ref.std))}.")


def names() -> dict[str, str]:
    """Return nothing; any file may be named."""
    return {}


SOURCES.register("checkpoint")(
    ModelSource(load, names, says="the path of a .safetensors file, with --arch, --mean and --std")
)
