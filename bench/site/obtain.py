"""How a reader comes by the network of an entry: what has to be at hand, what to run, and the line that loads it."""

import shlex
from typing import NamedTuple

from bench.site.entries import Entry
from bench.site.reproduce import brought, named, pruned
from bench.submission.carried import carried

_SHIPPED = "embedded:"


class Obtained(NamedTuple):
    """The way to a network.

    Attributes:
        says: what has to be at hand, and how sure it is that this network comes out.
        commands: for a shell in a checkout, one a line; empty where nothing is to be done.
        python: loads the network.
    """

    says: str
    commands: str
    python: str


def obtain(entry: Entry) -> Obtained:
    """Return the way to the network that was measured; every word that a submitter chose is quoted."""
    result = entry.result
    model, lines, loaded = result.model, brought(entry), [repr(result.model.ref)]
    if model.normalisation is not None:
        given = {"arch": model.architecture, "mean": model.normalisation.mean, "std": model.normalisation.std}
        loaded += [f"{key}={value!r}" for key, value in given.items()]
    elif not model.ref.startswith(_SHIPPED):
        lines.append(shlex.join(["bench", "models", "fetch", model.ref]))
    if entry.result.pruning.made:
        where = ["--protocol", result.protocol.name, "--out", entry.id]
        lines.append(shlex.join(["bench", "prune", *named(model), *pruned(result), *where]))
        loaded = [repr(f"{entry.id}/model.safetensors")]
        if not entry.result.pruning.learned:
            lines.append(f"grep {model.weights_sha256} {entry.id}/manifest.json")
    python = f"import bench\n\nnetwork = bench.load({', '.join(loaded)})"
    return Obtained(f"{_at_hand(entry)} {_sure(entry)}".rstrip(), "\n".join(lines), python)


def _at_hand(entry: Entry) -> str:
    model = entry.result.model
    what = "The dense network that it is pruned from" if entry.result.pruning.made else "It"
    if model.normalisation is not None:
        if carried(entry.submission):
            return f"{what} lies in the folder of its entry, in a checkout of this project."
        return f"{what} is a file that its authors keep; the first command brings it."
    if model.ref.startswith(_SHIPPED):
        return f"{what} ships with this project; nothing has to be placed."
    place = shlex.join(["bench", "models", "place", model.ref, "FILE"])
    return f"{what} is kept by others; the first command brings it from there, {place} takes a file that you have."


def _sure(entry: Entry) -> str:
    weights, pruning = entry.submission.weights, entry.result.pruning
    if pruning.learned:
        kept = f" Those are kept at {weights.address}, sha256 {weights.sha256}." if weights.address else ""
        return (
            "It learned after it was pruned, and another processor learns other weights: what comes out is like the "
            f"network that was measured, not the same.{kept}"
        )
    return "The last command finds the digest of the network that was measured, or fails." if pruning.made else ""
