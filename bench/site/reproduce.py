"""The commands that measure an entry again, spelled so that the command line reads the same request from them."""

import shlex
from collections.abc import Iterable

from bench.site.entries import Catalogue, Entry
from bench.submission.schema import Normalisation, Result


def commands(catalogue: Catalogue, entry: Entry) -> str:
    """Return what a reader may paste: every word that a submitter chose is quoted for the shell.

    The dense parent comes first, since without its run beside it a pruned network meets no transferred images.
    """
    parent = catalogue.parents.get(entry)
    lines = [*(_lines(parent) if parent else ()), *_lines(entry)]
    return "\n".join(dict.fromkeys(lines))


def _lines(entry: Entry) -> list[str]:
    model, locator, lines = entry.result.model, entry.submission.weights.locator, []
    if model.normalisation is not None:
        if locator.startswith("https://"):
            lines.append(shlex.join(["curl", "--fail", "--location", "--output", model.ref, locator]))
        if model.file_sha256:
            lines.append(f"echo {shlex.quote(f'{model.file_sha256}  {model.ref}')} | sha256sum --check")
    return [*lines, shlex.join(words(entry.result))]


def words(result: Result) -> list[str]:
    """Return the words of ``bench evaluate``; what the protocol fixes, the seed included, is left to it."""
    model, pruning = result.model, result.pruning
    said = ["bench", "evaluate", "--model", model.ref]
    if model.normalisation is not None:
        said += ["--arch", model.architecture, *_normalised(model.normalisation)]
    said += ["--protocol", result.protocol.name, "--recipe", pruning.recipe]
    if pruning.target is not None:
        said += ["--sparsity", pruning.target]
    said += ["--regime", pruning.regime, "--engine", result.engine]
    if result.batch_size is not None:
        said += ["--batch-size", str(result.batch_size)]
    return said


def _normalised(given: Normalisation) -> list[str]:
    # in one word, or a mean below zero would read as an option
    return [f"--mean={_numbers(given.mean)}", f"--std={_numbers(given.std)}"]


def _numbers(values: Iterable[float]) -> str:
    return ",".join(map(repr, values))
