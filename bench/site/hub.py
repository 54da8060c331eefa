"""The board in the form that the Hugging Face Hub collects results in: a benchmark's repository and files for models'.

Source: https://huggingface.co/docs/hub/eval-results (``docs/hub/eval-results.md`` of github.com/huggingface/hub-docs at
064c7548), sections "Registering a Benchmark" (``eval.yaml`` in the root of a data set's repository: name, description,
evaluation_framework, tasks with id, config, split) and "Adding Evaluation Results" (``.eval_results/*.yaml`` in a
model's: a list of dataset.id, dataset.task_id, value, and by choice date, source.url, source.name, notes). The page
calls the feature a work in progress.
"""

import csv
import io
import re
from fractions import Fraction
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import yaml

from bench.errors import UsageError
from bench.protocol.load import Protocol
from bench.site import frame
from bench.site.downloads import record
from bench.site.entries import Board, Catalogue, Entry
from bench.site.figures import percent
from bench.submission.links import pinned

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SAYS = (
    "How robust is a pruned image classifier against adversarial examples? The value is the share of points, in "
    "percent, that no verified adversarial image within the threat model's radius fools, whoever found it."
)
_RESULTS = ".eval_results/prunebench.yaml"


def export(catalogue: Catalogue, dataset: str, url: str | None) -> dict[str, bytes]:
    """Return the files, by path: ``dataset/`` for the benchmark's repository, ``models/`` a folder for each entry.

    Entries that are withheld, withdrawn or superseded bring no result.

    Args:
        catalogue: everything that is published.
        dataset: the repository of the benchmark on the Hub, ``ORG/NAME``.
        url: where the site lies, for links back to the entries; None for none.

    Raises:
        UsageError: if ``dataset`` is no name of a repository.
    """
    if not _REPOSITORY.fullmatch(dataset):
        raise UsageError(f"{dataset!r} is no repository of the Hub; expected ORG/NAME.")
    files = {
        "dataset/README.md": _card(catalogue),
        "dataset/eval.yaml": _yaml(_benchmark(catalogue)),
        f"dataset/{frame.FILE}": frame.table(record(catalogue, entry) for entry in catalogue),
    }
    for protocol in catalogue.protocols:
        rules = resources.files("bench.protocol") / f"{protocol.name}.toml"
        files[f"dataset/protocols/{protocol.name}.toml"] = rules.read_bytes()
        files[f"dataset/{_points(protocol)}"] = _listed(catalogue.by_protocol[protocol.name][0])
    for entry in catalogue:
        if catalogue.current(entry) and not entry.withheld:
            found = [_result(board, entry, dataset, url) for board in catalogue.boards if board.holds(entry)]
            files[f"models/{entry.protocol.name}/{entry.id}/{_RESULTS}"] = _yaml(found)
    return files


def repository(entry: Entry) -> str | None:
    """Return the repository on the Hub that an entry's weights lie in; None where they lie elsewhere."""
    address = entry.submission.weights.address
    if address is None or not pinned(address) or urlsplit(address).hostname != "huggingface.co":
        return None
    path = urlsplit(address).path.strip("/")
    return None if path.startswith("datasets/") else "/".join(path.split("/")[:2])


def task(board: Board) -> str:
    """Return the id of the task that a board is."""
    return f"{board.protocol.name}-{board.norm.lower()}"


def _benchmark(catalogue: Catalogue) -> dict[str, Any]:
    tasks = [
        {"id": task(board), "config": board.protocol.name, "split": board.protocol.data.split}
        for board in catalogue.boards
    ]
    return {
        "name": "prunebench",
        "description": _SAYS,
        "evaluation_framework": "prunebench",
        "tasks": tasks,
    }


def _result(board: Board, entry: Entry, dataset: str, url: str | None) -> dict[str, Any]:
    survivors, points = entry.survivors(board.norm), entry.result.data.points
    says = f"{survivors} of {points} points stand under {board.norm} {board.epsilon}; {entry.result.pruning.how}"
    says += f", {percent(entry.sparsity)} % of the prunable weights are zero; {entry.level.value}"
    found: dict[str, Any] = {
        "dataset": {"id": dataset, "task_id": task(board)},
        "value": float(100 * Fraction(survivors, points)),
        "date": entry.submission.date.isoformat(),
    }
    if url is not None:
        found["source"] = {"url": f"{url.rstrip('/')}/{entry.address}", "name": "prunebench"}
    return found | {"notes": says}


def _card(catalogue: Catalogue) -> bytes:
    configs = [
        {
            "config_name": protocol.name,
            "data_files": [{"split": protocol.data.split, "path": _points(protocol)}],
        }
        for protocol in catalogue.protocols
    ]
    head = {"license": "mit", "pretty_name": "prunebench", "configs": configs}
    says = (
        "Points and rules of a benchmark for the adversarial robustness of pruned image classifiers. Each config lists "
        "the ids and labels of the points that a protocol attacks; the images are those of the data set that its rules "
        f"in `protocols/` name and pin by digest. `{frame.FILE}` holds every entry of the leaderboard, as counts."
    )
    return f"---\n{_yaml(head).decode()}---\n\n# prunebench\n\n{says}\n".encode()


def _points(protocol: Protocol) -> str:
    return f"points/{protocol.name}.csv"


def _listed(entry: Entry) -> bytes:
    """List the points of a protocol as one of its entries has met them."""
    table, text = entry.folder.points, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label"))
    writer.writerows(sorted(zip(table.id.tolist(), table.label.tolist(), strict=True)))
    return text.getvalue().encode()


def _yaml(value: object) -> bytes:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).encode()
