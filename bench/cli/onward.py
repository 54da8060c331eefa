"""What follows from a finished run: what it keeps of its parent's, and the commands that may come next."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.evaluation.plan.plan import Plan
    from bench.models.source import ModelRef
    from bench.submission.schema import Result

_FIRST = ["--recipe", "magnitude-global", "--sparsity", "0.9"]
"""What most people prune by first."""


def onward(settled: "Plan", result: "Result", rules: str) -> Iterator[str]:
    """Yield what a run keeps of its parent's, and a sentence for each command that goes on from it.

    Args:
        settled: what was carried out.
        result: what came of it.
        rules: the protocol as it was named.
    """
    out = str(settled.out)
    parent = _parent_run(settled, result)
    if parent:
        yield from _kept(settled.out, parent)
        yield f"To hold it against its parent, point by point: {shlex.join(['bench', 'compare', out, str(parent)])}"
    if settled.request.dense:
        words = ["bench", "evaluate", *_same(settled, rules), *_FIRST, "--parent", out]
        yield f"To see what pruning costs: {shlex.join(words)}"
    if result.standard:
        yield from _submission(settled, result, parent)


def _submission(settled: "Plan", result: "Result", parent: Path | None) -> Iterator[str]:
    """Yield how a standard run is handed in, and before it the run of a dense parent that nobody else has."""
    from bench.evaluation.plan.reference import SUBMISSIONS
    from bench.submission.people import rebuilt

    request, name = settled.request, result.model.parent or ""
    if rebuilt(result) is None and not request.model.architecture:
        yield "To submit it, write it to a file with bench prune and measure that; elsewhere it learns other weights."
        return
    if parent and name.endswith(".safetensors") and SUBMISSIONS not in parent.parents:
        dense = request.model if request.origin is None else request.origin.parent
        yield f"To submit it, hand in its dense parent first, whose file nobody else has: {_handed(parent, dense)}"
    yield f"To submit it: {_handed(settled.out, request.model)}"


def _handed(out: Path, ref: "ModelRef | None") -> str:
    """Return the command that makes a submission of a run; a small file of weights goes with it."""
    from bench.submission.files import WEIGHTS_BYTES

    said = f"{shlex.join(['bench', 'submission', 'new', str(out)])} --author NAME --licence LICENCE"
    if ref is None or not ref.architecture:
        return said
    file = Path(ref.name)
    small = file.is_file() and file.stat().st_size <= WEIGHTS_BYTES
    return f"{said} {shlex.join(['--weights', ref.name]) if small else '--locator ADDRESS'}"


def _kept(out: Path, parent: Path) -> Iterator[str]:
    """Yield how many points are robust, against those of the dense parent; the ratio is the retention."""
    from bench.errors import BenchError
    from bench.submission.compare import outcomes, read_run

    with suppress(BenchError):  # of the points or the norms here the other run has none
        found = outcomes(read_run(out), read_run(parent))
        shares = [
            f"{what} {pair.both + pair.first} of {pair.both + pair.second} ({float(100 * kept):.1f} %)"
            for what, pair, kept in found
            if kept is not None
        ]
        if shares:
            yield f"Robust points against those of its parent: {', '.join(shares)}."


def _parent_run(settled: "Plan", result: "Result") -> Path | None:
    """Return the folder of the parent's run under the same rules: as named, else the fullest beside or published."""
    from bench.errors import BenchError
    from bench.evaluation.plan.reference import SUBMISSIONS
    from bench.submission.files import RESULT_FILE, read_result

    if settled.request.parent_run or result.model.parent_sha256 in {None, result.model.weights_sha256}:
        return settled.request.parent_run
    found: list[tuple[int, bool, bool, Path]] = []
    folders = settled.out.parent, SUBMISSIONS / settled.protocol.name
    for path in sorted(path for folder in folders for path in folder.glob(f"*/{RESULT_FILE}")):
        if f'"weights_sha256": "{result.model.parent_sha256}"'.encode() in path.read_bytes():
            with suppress(BenchError):  # damaged; it is not what this run is about
                other = read_result(path)
                shared = sum(threat.norm in {one.norm for one in other.threats} for threat in result.threats)
                if shared and (other.protocol, other.data.name) == (result.protocol, result.data.name):
                    same, beside = other.data.digest == result.data.digest, path.parent.parent == settled.out.parent
                    found.append((shared, same, beside, path.parent))
    return max(found)[-1] if found else None


def _same(settled: "Plan", rules: str) -> list[str]:
    """Return the words that name the same network under the same rules."""
    request, data = settled.request, settled.protocol.data
    ref = request.model
    said = ["--model", ref.name if ref.architecture else str(ref)]
    if ref.architecture:
        said += ["--arch", ref.architecture]
    if (ref.mean, ref.std) != ((0.0,), (1.0,)):
        # in one word, or a mean below zero would read as an option
        said += [f"--mean={','.join(map(repr, ref.mean))}", f"--std={','.join(map(repr, ref.std))}"]
    said += ["--protocol", rules]
    said += [] if settled.protocol.preset == "standard" else ["--preset", settled.protocol.preset]
    said += [] if request.seed is None else ["--seed", str(request.seed)]
    said += [] if request.engine == "native" else ["--engine", request.engine]
    for norm in request.norms or ():
        said += ["--threat", norm.value]
    if settled.ids != tuple(range(data.first, data.first + data.points)):
        said += ["--points", f"{settled.ids[0]}:{settled.ids[-1] + 1}"]
    return said
