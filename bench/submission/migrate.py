"""Converts records of version 1, once: a witness of another norm is no attack of a cascade any more.

In version 1 ``robust`` was what boards rank by, and a row ``pooled`` beside the attacks, with bits of its own, counted
the points that only witnesses from elsewhere had broken. Now ``robust`` is what the cascade leaves by itself and
``best_known`` what stands after all witnesses, which the distances tell, so neither row nor bits are needed.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.atomic import write_atomic
from bench.errors import SubmissionError
from bench.submission.agreement import point_problems
from bench.submission.files import MOST_BYTES, POINTS_FILE, RESULT_FILE, VERIFICATION_FILE, dump, parse
from bench.submission.points import read_points
from bench.submission.regular import content
from bench.submission.schema import Result

OLD, NEW = "bench.result/1", "bench.result/2"
_POOLED = "pooled"


def migrate(folder: Path) -> bool:
    """Convert the folder of a run or of a submission in place; tell whether there was anything to convert.

    Raises:
        SubmissionError: if the folder is damaged, or if somebody has verified the record as it is.
    """
    raw = content(folder / RESULT_FILE, MOST_BYTES[RESULT_FILE])
    try:
        old = json.loads(raw)
    except (ValueError, RecursionError):
        old = None
    if not isinstance(old, dict) or old.get("schema") != OLD:
        parse(Result, raw, RESULT_FILE)
        return False
    if (folder / VERIFICATION_FILE).exists():
        raise SubmissionError(
            f"{VERIFICATION_FILE} verifies {RESULT_FILE} as it is; remove it, convert, and have it verified anew."
        )
    try:
        result = parse(Result, json.dumps(converted(old)).encode(), RESULT_FILE)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SubmissionError(f"{RESULT_FILE} is no record of version 1 ({type(error).__name__}: {error}).") from None
    points = read_points(folder / POINTS_FILE)
    points = replace(points, broken={key: bits for key, bits in points.broken.items() if key[1] != _POOLED})
    if wrong := next(point_problems(result, points), None):
        raise SubmissionError(f"{RESULT_FILE} and {POINTS_FILE} do not agree, so nothing is converted: {wrong}")
    write_atomic(folder / POINTS_FILE, points.pack())
    write_atomic(folder / RESULT_FILE, dump(result))
    return True


def converted(old: dict[str, Any]) -> dict[str, Any]:
    """Return a record of version 1 as one of version 2.

    Raises:
        KeyError, TypeError, AttributeError or ValueError: if it is none of version 1.
    """
    environment = dict(old["environment"])
    device, threads = environment.pop("device", "cpu"), environment.pop("threads", None)
    machine = {
        "processor": None,
        "accelerator": None if device == "cpu" else device,
        "threads": None if threads is None else int(threads),
    }
    return old | {
        "schema": NEW,
        "converted": OLD,
        "threats": [_threat(threat) for threat in old["threats"]],
        "environment": environment,
        "cost": old["cost"] | {"machine": machine},
    }


def _threat(old: dict[str, Any]) -> dict[str, Any]:
    attacks = [attack for attack in old["attacks"] if attack["name"] != _POOLED]
    pooled = sum(attack["broken"] for attack in old["attacks"] if attack["name"] == _POOLED)
    return old | {"robust": old["robust"] + pooled, "best_known": old["robust"], "attacks": attacks}
