"""Evaluates a network that Python code holds, or any that the command line can name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from bench.data.dataset import EvalSet
from bench.errors import UsageError
from bench.evaluation.conduct.adding import finished
from bench.evaluation.conduct.run import Announce
from bench.evaluation.conduct.run import evaluate as carry_out
from bench.evaluation.plan.ask import File, Said, ask
from bench.evaluation.plan.source import source_of
from bench.evaluation.search.cascade import Watch
from bench.interface.network import handed_over, norm_of
from bench.interface.pruning import share_of
from bench.interface.result import Result
from bench.protocol.load import Protocol
from bench.protocol.own import find
from bench.threats import Norm


def evaluate(
    network: nn.Module | str,
    *,
    protocol: str = "cifar10-v1",
    points: int | tuple[int, int] | None = None,
    threats: Sequence[str | Norm] | None = None,
    preset: str | None = None,
    parent: nn.Module | str | None = None,
    method: str | None = None,
    structure: Literal["unstructured", "2of4", "channel"] | None = None,
    recipe: str | None = None,
    sparsity: Any = None,
    regime: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    out: Path | str | None = None,
    progress: Watch | None = None,
    announce: Announce = lambda _: None,
) -> Result:
    """Attack a network under a protocol, write the result, and return it; an interrupted run goes on by the same call.

    The functions behind it are those of ``bench evaluate``, so are the numbers. A run of a network that was handed over
    as an object is marked as not standard, for nobody else can load it.

    Args:
        network: a module from images in [0, 1], float32, (N, C, H, W), to logits (N, classes); or a reference such as
            ``"embedded:digits-cnn-linf"``. A frozen copy in evaluation mode is measured.
        protocol: the rules, by name or as a file.
        points: how many of the protocol's points, or ids from (inclusive) and to (exclusive); None takes all.
        threats: norms to run; None takes all of the protocol.
        preset: other budgets, such as ``"fast"``.
        parent: the dense network that ``network`` was pruned from: a module, a reference, or the folder of its run.
        method: how it was pruned, in the words of whoever did.
        structure: of its zeros, as claimed.
        recipe: prune here by one of the benchmark's recipes; goes without ``parent`` and ``method``.
        sparsity: with a recipe, the share of weights to remove; without, what is claimed: ``0.9``, ``"9/10"``.
        regime: what follows the pruning, or followed it.
        seed: None takes the protocol's.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        batch_size: points attacked at once; None takes what suits network and device. Verdicts do not depend on it.
        out: folder to write, or finished run to add to; None chooses one below ``runs/``, one per question.
        progress: hears (threat, attack, rounds done, rounds in all, points standing).
        announce: hears of each plan before its attacks begin, a parent's first.

    Raises:
        UsageError: if a name is unknown or arguments do not go together.
        InputError: if data or weights are missing, saying where they go.
        DisagreementError: if what is claimed is not what is measured.
        ContractError: if the network breaks its contract; then there is no number.
    """
    rules = find(protocol)
    said = Said(
        recipe=recipe,
        sparsity=None if sparsity is None else share_of(sparsity),
        regime=regime,
        parent=None if parent is None else _ref(parent, rules),
        method=method,
        structure=structure,
    )
    limit, ids = (points, None) if isinstance(points, int) else (None, points)
    plan = ask(
        _ref(network, rules),
        rules,
        preset=preset or "standard",
        file=File(),
        said=said,
        norms=None if threats is None else tuple(norm_of(norm) for norm in threats),
        points=ids,
        limit=limit,
        seed=seed,
        device=device,
        batch_size=batch_size,
        out=None if out is None else Path(out),
    )
    if finished(plan):
        return Result.read(plan.out)
    return Result.read(carry_out(plan, progress, announce))


def _ref(network: nn.Module | str, rules: Protocol) -> str:
    if isinstance(network, str):
        return network
    if not isinstance(network, nn.Module):
        raise UsageError(f"a network is a torch.nn.Module or a reference such as 'embedded:NAME', got {network!r}.")
    return str(handed_over(network, _example(rules).images()))


def _example(rules: Protocol) -> EvalSet:
    """Return the first two points of a protocol, to see what a network makes of them."""
    return source_of(rules).load(rules.data.split, range(rules.data.first, rules.data.first + 2))
