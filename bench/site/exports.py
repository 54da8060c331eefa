"""The data that compare, the scenario explorer and the page of budgets work on, as one classic script."""

import base64
import hashlib
import json
from typing import Any

import numpy as np

from bench.site.choice import all_norms, candidates
from bench.site.deploy import told
from bench.site.draw import script_safe
from bench.site.entries import Catalogue, Entry
from bench.site.figures import percent, symbol, threat
from bench.site.tables import rank
from bench.submission.points import Bits
from bench.submission.rules import SIGNIFICANCE, quantile
from bench.threats import Norm


def script(catalogue: Catalogue) -> bytes:
    """Return ``window.BENCH = …``; a classic script, because ``fetch`` and modules do not work from files."""
    document = {
        "rules": {"significance": SIGNIFICANCE, "quantile": quantile(SIGNIFICANCE)},
        "protocols": {protocol.name: _protocol(catalogue, protocol.name) for protocol in catalogue.protocols},
        "entries": [_entry(catalogue, entry) for entry in catalogue],
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"window.BENCH={script_safe(text)};\n".encode()


def _protocol(catalogue: Catalogue, name: str) -> dict[str, Any]:
    protocol = catalogue.by_protocol[name][0].protocol
    return {
        "title": protocol.title,
        "points": protocol.data.points,
        "all": list(all_norms(protocol, candidates(catalogue, protocol))),
        "threats": [
            {
                "norm": rule.norm.value,
                "symbol": symbol(rule.norm),
                "epsilon": str(rule.epsilon),
                "label": threat(rule.norm, rule.epsilon),
            }
            for rule in protocol.threats
            if any(board.protocol is protocol and board.norm is rule.norm for board in catalogue.boards)
        ],
        "curves": {curve.norm.value: [str(epsilon) for epsilon in curve.epsilons] for curve in protocol.curves},
    }


def _entry(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    result, pruning = entry.result, entry.result.pruning
    boards = [board for board in catalogue.boards if board.protocol is entry.protocol]
    shown: dict[str, Any] = {
        "id": entry.id,
        "protocol": entry.protocol.name,
        "title": entry.title,
        "address": entry.address,
        "level": entry.level.value,
        "again": entry.level.ranked,
        "alive": not (entry.withheld or result.collapsed or not catalogue.current(entry)),
        "withheld": entry.withheld,
        "recipe": pruning.how,
        "sparsity": percent(entry.sparsity),
        "nonzero": pruning.nonzero,
        "macs": pruning.nonzero_macs,
        "clean": result.clean.correct,
        "correct": packed(entry.correct),
        "band": entry.band,
        "ranks": {board.norm.value: rank(board, entry) for board in boards},
    }
    if entry.withheld:
        return shown
    bits: dict[Norm, Bits] = entry.robust
    return (
        shown
        | told(catalogue, entry)
        | {
            "robust": {norm.value: entry.survivors(norm) for norm in bits},
            "survivors": {norm.value: packed(values) for norm, values in bits.items()},
            "curves": {norm.value: list(curve.robust) for norm, curve in sorted(result.curves.items())},
            "scenarios": {
                name: {norm.value: count for norm, count in sorted(record.robust.items())}
                for name, record in sorted(result.scenarios.items())
            },
        }
    )


def packed(bits: Bits) -> str:
    """Return one bit per point, first point in the highest bit, as base64."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def stamped(path: str, content: bytes) -> str:
    """Return a path with a digest before its ending, so that no cache ever serves another content under it."""
    stem, _, kind = path.rpartition(".")
    digest = base64.b32encode(hashlib.sha256(content).digest()[:5]).decode().lower()
    return f"{stem}.{digest}.{kind}"
