"""Models from a safetensors file whose architecture is named beside it."""

from pathlib import Path

from bench.errors import UsageError
from bench.models.fit import fit, probe, shapes_of
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, architecture, state_digest
from bench.models.weights import file_digest, fill, read


def load(ref: ModelRef) -> LoadedModel:
    """Load the weights into the architecture named, cut down to their shapes if channels were removed."""
    made = architecture(ref.architecture or "")
    path = Path(ref.name)
    _fits_channels(ref, made.shape[0])
    tensors = read(path)
    network, whole = made.build(), None
    where, what = repr(path.name), f"architecture {made.name!r}"
    if any(shape != shapes_of(tensors).get(name, shape) for name, shape in shapes_of(network.state_dict()).items()):
        whole = Normalised(made.build(), ref.mean, ref.std).eval().requires_grad_(requires_grad=False)
    fit(network, shapes_of(tensors), where=where, what=what)
    fill(network, tensors, where=where, what=what)
    probe(network, made.shape, made.classes, where=where, what=what)
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
