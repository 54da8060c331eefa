"""The board as one table: a row for every entry and norm, counts in files and shares where they are computed."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pandas as pd

from bench.site.downloads import plain
from bench.submission.score import wilson
from bench.threats import Norm

FILE = "entries.csv"


class Column(NamedTuple):
    """One column: what kind of values it has and what they mean."""

    name: str
    kind: Literal["text", "date", "count", "share"]
    says: str
    optional: bool = False
    """Some rows have no value."""


STORED = (
    Column("protocol", "text", "Rules under which it was measured; rows of different protocols do not compare."),
    Column("entry", "text", "Id of the entry, unique within its protocol."),
    Column("norm", "text", "Of the threat model: Linf, L2 or L0."),
    Column("epsilon", "text", "Exact radius: in pixel units with images in [0, 1], under L0 a number of pixels."),
    Column("name", "text", "Of the network, in its authors' words."),
    Column("method", "text", "How it was pruned, in its authors' words."),
    Column("date", "date", "When it was submitted."),
    Column("level", "text", "How far others have checked it: self-reported, checked, re-run or reproduced."),
    Column("unranked", "text", "Why it carries no rank.", optional=True),
    Column("parent", "text", "Id of the dense entry that it was pruned from.", optional=True),
    Column("architecture", "text", "Of the network."),
    Column("recipe", "text", "Of this benchmark; none where others pruned it.", optional=True),
    Column("structure", "text", "Pattern of the zeros: dense, unstructured, 2of4 or channel."),
    Column("regime", "text", "What followed the pruning.", optional=True),
    Column("target", "text", "Share of prunable weights that was asked to be zero, exact.", optional=True),
    Column("band", "text", "Of measured sparsity, within which it is ranked."),
    Column("points", "count", "Images that were attacked."),
    Column("correct", "count", "Of them, classified rightly without an attack."),
    Column("robust", "count", "Of them, left by the norm's own cascade; none where withheld.", optional=True),
    Column("best_known", "count", "Of them, without a verified witness of any source; boards rank by it; none where "
           "withheld.", optional=True),
    Column("transfer", "count", "Of them, left by the nearest images found on the dense parent.", optional=True),
    Column("black_box", "count", "Of them, left by attacks that only ask queries.", optional=True),
    Column("rank", "count", "By best_known, within the band.", optional=True),
    Column("rank_best", "count", "The best rank that paired tests leave open.", optional=True),
    Column("rank_worst", "count", "The worst rank that paired tests leave open.", optional=True),
    Column("zeros", "count", "Exact zeros among the prunable weights."),
    Column("prunable", "count", "Conv2d, Linear and attention weights that a forward pass of the parent reaches."),
    Column("nonzero", "count", "Non-zero parameters of the whole network."),
    Column("parameters", "count", "Reached parameters of the whole parent."),
    Column("macs", "count", "Multiply-accumulates of the network per image."),
    Column("nonzero_macs", "count", "Those with non-zero weights."),
    Column("parent_macs", "count", "Those of the dense parent."),
    Column("bytes_plain", "count", "Of the weights as safetensors."),
    Column("bytes_packed", "count", "Of masks and non-zero values, compressed."),
    Column("forwards", "count", "Images that the norm's cascade passed forward."),
    Column("backwards", "count", "Images that it passed backward."),
    Column("weights_sha256", "text", "Over the tensors that were attacked."),
    Column("protocol_digest", "text", "Over the rules."),
)  # fmt: skip
"""What files hold."""
COMPUTED = (
    Column("clean_share", "share", "correct / points."),
    Column("robust_share", "share", "robust / points.", optional=True),
    Column("best_known_share", "share", "best_known / points.", optional=True),
    Column("best_known_low", "share", "Lower end of its 95 % interval (Wilson).", optional=True),
    Column("best_known_high", "share", "Upper end of its 95 % interval (Wilson).", optional=True),
    Column("sparsity", "share", "zeros / prunable."),
    Column("compression", "share", "prunable / (prunable − zeros); none where nothing is left.", optional=True),
)
"""What is computed from it."""


def rows(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a row per norm of each record of ``entries.json``; None where there is no value."""
    renamed = {"entry": "id", "correct": "clean"}
    by_norm = {"epsilon", "robust", "best_known", "forwards", "backwards"}
    for record in records:
        for norm in (norm for norm in Norm if norm.value in record["robust"]):
            place = record["rank"][norm.value] or {}
            own = {
                "norm": norm.value,
                "transfer": record["scenarios"].get("transfer", {}).get(norm.value),
                "black_box": record["scenarios"].get("black-box", {}).get(norm.value),
                "rank": place.get("rank"),
                "rank_best": place.get("best"),
                "rank_worst": place.get("worst"),
            }
            own |= {name: record[name][norm.value] for name in by_norm}
            yield {
                column.name: own[column.name] if column.name in own else record[renamed.get(column.name, column.name)]
                for column in STORED
            }


def table(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the rows as CSV; text that a spreadsheet could take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in STORED)
    for row in rows(records):
        writer.writerow(
            plain(row[column.name]) if column.kind == "text" else "" if row[column.name] is None else row[column.name]
            for column in STORED
        )
    return text.getvalue().encode()


def frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows with shares computed; ``attrs["columns"]`` says what each column means."""
    found = list(rows(records))
    data = {column.name: _series([row[column.name] for row in found], column) for column in STORED}
    shares: dict[str, list[float | None]] = {column.name: [] for column in COMPUTED}
    for row in found:
        for name, share in _shares(row).items():
            shares[name].append(share)
    data |= {name: pd.Series(values, dtype="float64") for name, values in shares.items()}
    made = pd.DataFrame(data)
    made.attrs["columns"] = {column.name: column.says for column in (*STORED, *COMPUTED)}
    return made


def _series(values: list[Any], column: Column) -> pd.Series:
    if column.kind == "date":
        return pd.to_datetime(pd.Series(values, dtype="str"), format="%Y-%m-%d")
    kind = "str" if column.kind == "text" else "Int64" if column.optional else "int64"
    return pd.Series(values, dtype=kind)


def _shares(row: Mapping[str, Any]) -> dict[str, float | None]:
    points, best, left = row["points"], row["best_known"], row["prunable"] - row["zeros"]
    low, high = (None, None) if best is None else wilson(best, points)
    return {
        "clean_share": row["correct"] / points,
        "robust_share": None if row["robust"] is None else row["robust"] / points,
        "best_known_share": None if best is None else best / points,
        "best_known_low": low,
        "best_known_high": high,
        "sparsity": row["zeros"] / row["prunable"],
        "compression": row["prunable"] / left if left else None,
    }
