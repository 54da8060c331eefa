"""``bench prune``: prune a model and write the checkpoint."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import output, reading
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.models.source import LoadedModel
    from bench.protocol.load import Protocol
    from bench.pruning.prune import Pruned
    from bench.pruning.recipe import Context


@click.command("prune")
@click.option(
    "--model",
    required=True,
    metavar="REF",
    help="embedded:NAME, timm:NAME, robustbench:NAME, published:NAME, a .safetensors file, or "
    "python:MODULE:FACTORY[?weights=FILE].",
)
@click.option("--recipe", required=True, help="How to prune; see `bench list recipes`.")
@click.option("--sparsity", metavar="SHARE", help="Share of prunable weights (or parameters) to remove: 0.9 or 9/10.")
@click.option("--compression", metavar="RATE", help="The same as a rate: 10 keeps one weight of ten.")
@click.option("--regime", default="one-shot", show_default=True, help="What follows pruning.")
@click.option("--keep", metavar="LAYERS", help="Layers that stay whole, by name: conv1,fc or layer1.")
@click.option(
    "--protocol",
    "protocol_name",
    default="digits-v1",
    show_default=True,
    metavar="NAME|FILE",
    help="Calibration images, radius and seed.",
)
@click.option(
    "--arch",
    metavar="NAME",
    help="Of a .safetensors file; see `bench list architectures`; timm:NAME; NAME?num_classes=100.",
)
@click.option("--mean", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--std", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the protocol's.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def command(
    *,
    model: str,
    recipe: str,
    sparsity: str | None,
    compression: str | None,
    regime: str,
    keep: str | None,
    protocol_name: str,
    out: Path,
    seed: int | None,
    as_json: bool,
    **described: str | None,
) -> None:
    """Prune a model and write the checkpoint with a manifest of what was measured.

    \b
    bench prune --model embedded:digits-resnet-linf --recipe l2-inner --sparsity 0.5 --out smaller
    """  # noqa: D301 - click's mark for lines to keep
    if out.exists():
        raise UsageError(f"{str(out)!r} exists; name a new folder.")
    from bench.evaluation.conduct.glance import seen
    from bench.models.source import ModelRef, load
    from bench.protocol.own import find
    from bench.pruning.prune import checked_target, needs_images, prune
    from bench.pruning.recipe import RECIPES
    from bench.pruning.telling import faster, reached

    share = reading.sparsity(sparsity, compression)
    checked_target(RECIPES[recipe], share)
    protocol = find(protocol_name)
    images = needs_images(recipe, regime)
    loaded = load(
        ModelRef.parse(
            model,
            architecture=described["arch"],
            mean=reading.numbers(described["mean"]),
            std=reading.numbers(described["std"]),
        )
    )
    context, calibration = _context(loaded, protocol, protocol.seed if seed is None else seed, images=images)
    context = replace(context, keep=frozenset(reading.words(keep)))
    pruned = prune(loaded.classifier, recipe, share, context, regime)
    manifest = _manifest(loaded, pruned, recipe, regime, context.seed) | {
        "keep": sorted(context.keep),
        "protocol": protocol.name,
        "calibration": calibration,
        "evaluate": _command(Path(), protocol_name, loaded, recipe),
    }
    _write(out, pruned, manifest)
    if as_json:
        output.emit(manifest)
        return
    _show(pruned, manifest)
    output.say(reached(RECIPES[recipe], loaded.classifier, pruned, context))
    output.say(faster(RECIPES[recipe].structure, _ratio(loaded, pruned, context)))
    for sentence in seen(protocol, loaded, pruned):
        output.say(sentence)
    output.say(f"To attack it: {_command(out, protocol_name, loaded, recipe)}")
    output.say(f"Written to {out}.")


def _context(
    loaded: "LoadedModel", protocol: "Protocol", seed: int, *, images: bool
) -> "tuple[Context, dict[str, Any] | None]":
    """Return what recipe and regime may look at; without a need for images, blank noise shows what is reached."""
    from bench.evaluation.plan.prepare import calibration
    from bench.evaluation.plan.source import source_of
    from bench.pruning.chance import uniform
    from bench.pruning.recipe import Context
    from bench.threats import Norm

    threat = next((threat.model for threat in protocol.threats if threat.model.norm is not Norm.L0), None)
    channels, height, width = loaded.shape
    noise = uniform(2 * channels * height * width, seed=0, purpose="example").float().view(2, *loaded.shape)
    if not images:
        return Context(example=noise, seed=seed, threat=threat), None
    source, wanted = source_of(protocol), protocol.calibration
    if source.shape != loaded.shape:
        raise UsageError(
            f"{loaded.ref} takes images of {loaded.shape}, and those of {protocol.name} are {source.shape}; "
            "name a protocol whose images fit with --protocol."
        )
    points = calibration(source, wanted)
    told = {
        "dataset": points.name,
        "split": points.split,
        "first": wanted.first,
        "points": len(points),
        "digest": points.digest,
    }
    return Context(example=noise, seed=seed, calibration=(points.images(), points.label_tensor()), threat=threat), told


def _ratio(loaded: "LoadedModel", pruned: "Pruned", context: "Context") -> float | None:
    """Return the time of a forward pass over that of the parent, where channels are gone."""
    from bench.evaluation.conduct.latency import latency

    if not pruned.measured.removed:
        return None
    found = latency(loaded.classifier, pruned.network, context.example, len(context.example))
    assert found.parent is not None
    return found.network.forward[1] / found.parent.forward[1]


def _manifest(loaded: "LoadedModel", pruned: "Pruned", recipe: str, regime: str, seed: int) -> dict[str, Any]:
    from dataclasses import asdict

    from bench.evaluation.plan.manifest import SCHEMA
    from bench.models.source import SOURCES, Normalised, state_digest
    from bench.pruning.masks import mask_digest
    from bench.pruning.recipe import RECIPES

    chosen, network = RECIPES[recipe], pruned.network
    mean, std = (
        (network.mean.flatten().tolist(), network.std.flatten().tolist())
        if isinstance(network, Normalised)
        else ([0.0], [1.0])
    )
    architecture = str(loaded.ref).partition("@")[0] if SOURCES[loaded.ref.source].blank else loaded.architecture
    return {
        "schema": SCHEMA,
        "model": str(loaded.ref),
        "architecture": architecture,
        "mean": mean,
        "std": std,
        "recipe": {"name": recipe, "version": chosen.version, "structure": chosen.structure, "scope": chosen.scope},
        "regime": regime,
        "seed": seed,
        "target": None if pruned.target is None else str(pruned.target),
        "parent_sha256": loaded.digest,
        "weights_sha256": state_digest(network),
        "masks_sha256": mask_digest(pruned.masks) if pruned.masks else None,
        "plan": {name: {str(axis): list(kept) for axis, kept in cuts.items()} for name, cuts in pruned.plan.items()},
        "measured": asdict(pruned.measured),
    }


def _command(folder: Path, protocol: str, parent: "LoadedModel", recipe: str) -> str:
    """Return the command that attacks what was pruned; the manifest beside the weights says the rest.

    It holds neither code to be run nor the folder of the parent's file, so both are spelled out.
    """
    from bench.evaluation.plan.manifest import WEIGHTS, method
    from bench.models.zoo.python import SOURCE, filled
    from bench.pruning.recipe import RECIPES

    ref, weights = parent.ref, str(folder / WEIGHTS)
    said = ["--model", str(filled(ref, weights)) if ref.source == SOURCE else weights, "--protocol", protocol]
    if ref.source == SOURCE:
        said += ["--parent", str(ref), "--method", method(recipe, RECIPES[recipe].version)]
    elif ref.source == "checkpoint" and Path(ref.name).parent != Path():
        said += ["--parent", ref.name]
    return shlex.join(["bench", "evaluate", *said])


def _write(out: Path, pruned: "Pruned", manifest: dict[str, Any]) -> None:
    """Write both files into a folder that appears only when it is complete."""
    from bench.atomic import whole_folder, write_atomic
    from bench.evaluation.plan.manifest import MANIFEST, WEIGHTS
    from bench.models.source import Normalised
    from bench.pruning.cost import plain
    from bench.submission.files import canonical

    inside = pruned.network.network if isinstance(pruned.network, Normalised) else pruned.network
    with whole_folder(out) as folder:
        write_atomic(folder / WEIGHTS, plain(inside))
        write_atomic(folder / MANIFEST, canonical(manifest))


def _show(pruned: "Pruned", manifest: dict[str, Any]) -> None:
    measured = pruned.measured
    rows = [
        [
            layer.name,
            "×".join(map(str, layer.shape)),
            f"{layer.weights:,}",
            f"{layer.zeros:,}",
            f"{100 * layer.zeros / layer.weights:.2f}",
        ]
        for layer in measured.layers
    ]
    rows.append([
        "all prunable", "", f"{measured.prunable:,}", f"{measured.zeros:,}",
        f"{100 * measured.zeros / measured.prunable:.2f}",
    ])  # fmt: skip
    output.show(
        f"{manifest['model']}, {manifest['recipe']['name']}, {manifest['regime']}",
        ["layer", "shape", "weights", "zeros", "sparsity %"],
        rows,
        numbers=(2, 3, 4),
    )
    output.say(
        f"{measured.connected:,} prunable weights lie on a path from image to logits; "
        f"{measured.nonzero:,} of {measured.parameters:,} parameters are not zero; {measured.macs:,} of "
        f"{measured.parent_macs:,} multiply-accumulates; {measured.bytes_packed:,} bytes packed."
    )
    if measured.collapsed_layers:
        output.say(f"Nothing is left of {', '.join(measured.collapsed_layers)}.")
