"""``bench inspect``: what is in a checkpoint, a run or a submission."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import evaluate, output, reading
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.pruning.measure import Measured
    from bench.submission.schema import LatencyRecord, PruningRecord

_BAR = 24


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--arch", metavar="NAME", help="Of a checkpoint; see `bench list architectures`; timm:NAME; NAME?num_classes=100."
)
@click.option("--parent", metavar="REF", help="The dense model to measure a checkpoint against: SOURCE:NAME or a file.")
@click.option("--mean", metavar="R,G,B", help="Input normalisation of the checkpoint.")
@click.option("--std", metavar="R,G,B", help="Input normalisation of the checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, path: Path, arch: str | None, parent: str | None, mean: str | None, std: str | None, as_json: bool
) -> None:
    """Show what PATH holds: a .safetensors checkpoint, a run folder, or a submission folder."""
    if path.is_dir():
        _run(path, as_json=as_json)
    elif path.suffix == ".safetensors":
        _checkpoint(path, arch, parent, (mean, std), as_json=as_json)
    else:
        raise UsageError(f"{str(path)!r} is neither a .safetensors file nor the folder of a run or a submission.")


def _run(folder: Path, *, as_json: bool) -> None:
    from bench.submission.files import RESULT_FILE, read_result

    result = read_result(folder / RESULT_FILE)
    if as_json:
        output.emit(result.model_dump(mode="json", by_alias=True))
        return
    evaluate.show_results([(folder.resolve().name, result)])
    _show("Pruning", result.pruning, clock=result.cost.latency)


def _checkpoint(
    path: Path, arch: str | None, parent: str | None, norm: tuple[str | None, str | None], *, as_json: bool
) -> None:
    from bench.models.weights import history, read

    if arch is None:
        lines = []
        for name, tensor in read(path).items():
            zeros = int((tensor == 0).sum())
            lines.append([name, "×".join(map(str, tensor.shape)), f"{tensor.numel():,}", _share(zeros, tensor.numel())])
        if as_json:
            entries = [dict(zip(["tensor", "shape", "numbers", "zeros"], line, strict=True)) for line in lines]
            output.emit({"schema": "bench.tensors/1", "tensors": entries})
            return
        output.show(path.name, ["tensor", "shape", "numbers", "zeros"], lines, numbers=[2])
        if told := history(path):
            output.say(f"Converted by bench: {told}.")
        output.say("With --arch NAME it is measured as a network.")
        return
    measured = _measure(path, arch, parent, norm)
    if as_json:
        from dataclasses import asdict

        output.emit({"schema": "bench.measured/1", **asdict(measured)})
        return
    _show(path.name, measured)


def _measure(path: Path, arch: str, parent: str | None, norm: tuple[str | None, str | None]) -> "Measured":
    import torch

    from bench.models.source import ModelRef, load, names_file
    from bench.pruning.measure import measure

    mean, std = (reading.numbers(text) for text in norm)
    loaded = load(ModelRef.parse(str(path), architecture=arch, mean=mean, std=std))
    dense = loaded.whole
    if parent is not None:
        is_file = names_file(parent)
        ref = ModelRef.parse(parent, architecture=arch, mean=mean, std=std) if is_file else ModelRef.parse(parent)
        dense = load(ref).classifier
    example = torch.rand(8, *loaded.shape, generator=torch.Generator().manual_seed(0))
    return measure(dense, loaded.classifier, example)


def _show(title: str, found: "Measured | PruningRecord", *, clock: "LatencyRecord | None" = None) -> None:
    left, density = found.prunable - found.zeros, 100 * found.nonzero / found.parameters
    facts = [
        ["prunable weights", f"{found.prunable:,}"],
        ["exact zeros among them", f"{found.zeros:,} ({100 * found.zeros / found.prunable:.2f} %)"],
        ["compression", _rate(found.prunable, left)],
        ["compression, dead left out", f"{_rate(found.prunable, found.connected)}, {found.connected:,} connected"],
        ["non-zero parameters", f"{found.nonzero:,} of {found.parameters:,} ({density:.2f} %)"],
        ["MACs per image", f"{found.macs:,} (parent {found.parent_macs:,})"],
        ["MACs with non-zero weights", f"{found.nonzero_macs:,} (theoretical)"],
        ["bytes plain, packed", f"{found.bytes_plain:,}, {found.bytes_packed:,}"],
        ["collapsed layers", ", ".join(found.collapsed_layers) or "none"],
        ["latency beside the parent", "not claimed: no channel is gone" if found.macs == found.parent_macs
         else "timed by bench evaluate" if clock is None else f"{clock.times_faster:.2f}× faster to attack"],
    ]  # fmt: skip
    output.show(title, ["figure", "value"], facts)
    lines = [
        [layer.name, "×".join(map(str, layer.shape)), f"{layer.weights:,}", f"{layer.macs:,}",
         _share(layer.zeros, layer.weights)]
        for layer in found.layers
    ]  # fmt: skip
    output.show("Layers", ["layer", "shape", "weights", "MACs", "zeros"], lines, numbers=[2, 3])


def _rate(whole: int, left: int) -> str:
    return f"{whole / left:.2f}×" if left else "nothing is left"


def _share(zeros: int, total: int) -> str:
    filled = round(_BAR * zeros / total) if total else 0
    return f"{'█' * filled}{'·' * (_BAR - filled)} {100 * zeros / max(total, 1):6.2f} %"
