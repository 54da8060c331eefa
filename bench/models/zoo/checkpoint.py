"""Models from a safetensors file whose architecture is named beside it."""

from pathlib import Path

from bench.errors import UsageError
from bench.models.architecture import ARCHITECTURES
from bench.models.fit import fit, probe, shapes_of
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, state_digest
from bench.models.weights import file_digest, fill, read


def load(ref: ModelRef) -> LoadedModel:
    """Load the weights into the architecture named, cut down to their shapes if channels were removed."""
    architecture = ARCHITECTURES[ref.architecture or ""]
    path = Path(ref.name)
    _fits_channels(ref, architecture.shape[0])
    tensors = read(path)
    network = architecture.build()
    where, what = repr(path.name), f"architecture {architecture.name!r}"
    fit(network, shapes_of(tensors), where=where, what=what)
    fill(network, tensors, where=where, what=what)
    probe(network, architecture.shape, architecture.classes, where=where, what=what)
    classifier = Normalised(network, ref.mean, ref.std)
    return LoadedModel(
        ref=ref,
        classifier=classifier,
        architecture=architecture.name,
        shape=architecture.shape,
        classes=architecture.classes,
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
