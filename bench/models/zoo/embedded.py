"""The small networks that ship with the benchmark."""

from importlib import resources

from bench.errors import ArtefactError, UsageError
from bench.models import manifest
from bench.models.architecture import ARCHITECTURES
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, Normalised, state_digest
from bench.models.weights import file_digest, fill, read
from bench.registry import unknown


def load(ref: ModelRef) -> LoadedModel:
    """Load a network from the package, checking its file against the recorded digest."""
    networks = manifest.manifest().models
    if ref.name not in networks:
        raise UsageError(unknown("embedded model", ref.name, list(networks)))
    settings, outcome = networks[ref.name], manifest.outcomes()[ref.name]
    architecture = ARCHITECTURES[settings.architecture]
    with resources.as_file(manifest.folder() / f"{ref.name}.safetensors") as path:
        digest = file_digest(path)
        if digest != outcome.sha256:
            raise ArtefactError(
                f"{path.name} should have sha256 {outcome.sha256}, got {digest}; install the package again."
            )
        tensors = read(path)
    network = architecture.build()
    fill(network, tensors, where=repr(ref.name), what=f"architecture {architecture.name!r}")
    classifier = Normalised(network, (0.0,), (1.0,))
    return LoadedModel(
        ref=ref,
        classifier=classifier,
        architecture=architecture.name,
        shape=architecture.shape,
        classes=architecture.classes,
        digest=state_digest(classifier),
        file_digest=digest,
        notes={"training": settings.says, "source": "trained by this project: bench train", "licence": "MIT"},
    )


def names() -> dict[str, str]:
    """Return the networks that ship, with what each is."""
    return {
        name: f"{settings.says}; {ARCHITECTURES[settings.architecture].says}"
        for name, settings in manifest.manifest().models.items()
    }


SOURCES.register("embedded")(ModelSource(load, names, says="small networks for the digits that ship with the package"))
