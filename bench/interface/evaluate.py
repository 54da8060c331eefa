"""Evaluates a network that Python code holds, or any that the command line can name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from bench.data.dataset import EvalSet
from bench.errors import UsageError
from bench.evaluation.conduct.adding import finished
from bench.evaluation.conduct.run import Announce
from bench.evaluation.conduct.sweep import alone
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.ask import Said, ask
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.source import source_of
from bench.evaluation.search.batch import bytes_of
from bench.evaluation.search.cascade import Watch
from bench.interface.network import handed_over
from bench.interface.progress import following
from bench.interface.pruning import layers_of, share_of
from bench.interface.result import Result
from bench.protocol.load import Protocol
from bench.protocol.own import find
from bench.pruning.prune import Pruned
from bench.threats import Norm, norm_of


@exact_arithmetic()
def evaluate(
    network: nn.Module | Pruned | str | Path,
    *,
    protocol: str | Path = "cifar10-v1",
    points: int | tuple[int, int] | None = None,
    threats: str | Sequence[str | Norm] | None = None,
    preset: str | None = None,
    parent: nn.Module | Result | str | Path | None = None,
    method: str | None = None,
    structure: Literal["unstructured", "2of4", "channel"] | None = None,
    recipe: str | None = None,
    sparsity: Any = None,
    regime: str | None = None,
    keep: str | Sequence[str] = (),
    seed: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    memory: float | None = None,
    out: Path | str | None = None,
    parent_run: bool = True,
    progress: bool | Watch | None = True,
    announce: Announce = lambda _: None,
) -> Result:
    """Attack a network under a protocol, write the result, and return it; an interrupted run goes on by the same call.

    Numbers are those of ``bench evaluate``, whose default is another protocol. ``network`` is a reference, or a module
    from images in [0, 1], (N, C, H, W), to logits; a frozen copy is measured, and its run is no standard one.

    ``points`` are how many of the protocol's, or ids from (inclusive) and to (exclusive). ``parent`` is the dense
    network that ``network`` was pruned from: a module, a reference, its result, or the folder of that. ``sparsity`` is
    the share of weights to remove by ``recipe``, which leaves the layers ``keep`` whole; without one, what is claimed.
    ``memory`` are the gibibytes that the run may take on the device, None what suits it; batches become smaller.
    ``out`` is a folder to write, or a finished run to add to. ``parent_run`` says whether the dense parent is measured
    first, where no run of it is at hand. ``progress`` shows a bar on a terminal and in a notebook, and says on standard
    error what a run of the parent costs and what is foreseen; False shows nothing, a callable hears (threat, attack,
    rounds done, rounds in all, standing) instead. ``announce`` hears each plan before its attacks begin.

    Raises:
        UsageError, InputError: if arguments do not go together, or data or weights are missing.
        DisagreementError: if what is claimed is not what is measured.
        ContractError: if the network breaks its contract; then there is no number.
    """
    rules, share, kept = find(str(protocol)), share_of(sparsity), layers_of(keep)
    dense = None if parent is None else _ref(parent, rules)
    plan = ask(
        _ref(network, rules),
        rules,
        preset=preset or "standard",
        said=Said(recipe, share, regime, kept, dense, method=method, structure=structure),
        norms=_norms(threats),
        points=None if isinstance(points, int) else points,
        limit=points if isinstance(points, int) else None,
        seed=seed, device=device, batch_size=batch_size, memory=bytes_of(memory),
        out=None if out is None else Path(out),
        parent_first=parent_run,
    )  # fmt: skip
    with following(plan, progress, alone="parent_run=False") as heard:
        if not finished(plan):
            alone(plan, heard._replace(announce=_both(heard.announce, announce)))
    return Result.read(plan.out)


def _both(first: Announce, second: Announce) -> Announce:
    def announce(plan: Plan) -> None:
        first(plan)
        second(plan)

    return announce


def _norms(threats: str | Sequence[str | Norm] | None) -> tuple[Norm, ...] | None:
    if threats is None:
        return None
    names = [threats] if isinstance(threats, str) else threats
    if not names:
        raise UsageError("threats should name at least one norm, as ['Linf', 'L2'], or be left out for all.")
    return tuple(norm_of(norm) for norm in names)


def _ref(network: nn.Module | Pruned | Result | str | Path, rules: Protocol) -> str:
    if isinstance(network, str | Path | Result):
        return str(network.folder if isinstance(network, Result) else network)
    if not isinstance(network, nn.Module | Pruned):
        raise UsageError(f"a network is a torch.nn.Module or a reference such as 'embedded:NAME', got {network!r}.")
    return str(handed_over(network, _example(rules).images()))


def _example(rules: Protocol) -> EvalSet:
    """Return the first two points of a protocol, to see what a network makes of them."""
    return source_of(rules).load(rules.data.split, range(rules.data.first, rules.data.first + 2))
