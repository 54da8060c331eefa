"""The commands that measure an entry again, spelled so that the command line reads the same request from them."""

import shlex
from collections.abc import Iterable

from bench.site.entries import Catalogue, Entry
from bench.submission.carried import carried
from bench.submission.files import WEIGHTS_FILE
from bench.submission.schema import ModelRecord, Normalisation, Result


def commands(catalogue: Catalogue, entry: Entry) -> str:
    """Return what a reader may paste: every word that a submitter chose is quoted for the shell.

    The dense parent comes first, since without its run beside it a pruned network meets no transferred images.
    """
    parent = catalogue.parents.get(entry)
    lines = [*(_lines(parent) if parent else ()), *_lines(entry)]
    return "\n".join(dict.fromkeys(lines))


def _lines(entry: Entry) -> list[str]:
    return [*brought(entry), shlex.join(words(entry.result))]


def brought(entry: Entry) -> list[str]:
    """Return the commands that bring the file of weights an entry was measured with, and hold it to its digest.

    None of them for a network that its source brings; the digest alone where the file is at hand or nowhere.
    """
    model, address, lines = entry.result.model, entry.submission.weights.address, []
    if model.normalisation is None:
        return []
    if address is not None:
        lines.append(shlex.join(["curl", "--fail", "--location", "--output", model.ref, address]))
    if carried(entry.submission):
        here = f"submissions/{entry.result.protocol.name}/{entry.id}/{WEIGHTS_FILE}"
        lines.append(shlex.join(["cp", "--", here, model.ref]))
    if model.file_sha256:
        lines.append(f"echo {shlex.quote(f'{model.file_sha256}  {model.ref}')} | sha256sum --check")
    return lines


def named(model: ModelRecord) -> list[str]:
    """Return the options that name the network a run began with, a file with what goes with it."""
    said = ["--model", model.ref]
    if model.normalisation is None:
        return said
    return [*said, "--arch", model.architecture, *_normalised(model.normalisation)]


def words(result: Result) -> list[str]:
    """Return the words of ``bench evaluate``; what the protocol fixes, the seed included, is left to it."""
    said = ["bench", "evaluate", *named(result.model)]
    said += ["--protocol", result.protocol.name, *pruned(result), "--engine", result.engine]
    if result.batch_size is not None:
        said += ["--batch-size", str(result.batch_size)]
    return said


def pruned(result: Result) -> list[str]:
    """Return the options that say how a network is pruned, or came to be pruned."""
    pruning, claim = result.pruning, result.pruning.claim
    if pruning.recipe is not None:
        said = ["--recipe", pruning.recipe, *([f"--keep={','.join(pruning.keep)}"] if pruning.keep else [])]
        asked = pruning.target
    else:
        said = [*_parent(result.model), f"--method={pruning.how}"]
        said += ["--structure", claim.structure] if claim and claim.structure else []
        asked = claim.sparsity if claim else None
    said += ["--sparsity", asked] if asked is not None else []
    return said + (["--regime", pruning.regime] if pruning.regime is not None else [])


def _parent(model: ModelRecord) -> list[str]:
    said = [] if model.parent is None else ["--parent", model.parent]
    said += [] if model.parent_architecture is None else ["--parent-arch", model.parent_architecture]
    return said + ([] if model.parent_normalisation is None else _normalised(model.parent_normalisation, "parent-"))


def _normalised(given: Normalisation, prefix: str = "") -> list[str]:
    # in one word, or a mean below zero would read as an option
    return [f"--{prefix}mean={_numbers(given.mean)}", f"--{prefix}std={_numbers(given.std)}"]


def _numbers(values: Iterable[float]) -> str:
    return ",".join(map(repr, values))
