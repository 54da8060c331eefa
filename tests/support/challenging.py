"""Challenges of published entries, signed by the verifiers of the tests or forged."""

from datetime import date

import numpy as np

from bench.submission.arrays import pack_arrays
from bench.submission.challenge import record
from bench.submission.check import examine
from bench.submission.files import canonical, read_result, read_submission
from bench.submission.verifiers import sign
from bench.threats import Norm
from tests.support.signers import KEY
from tests.support.signers import NAME as VERIFIER

DAY = date(2026, 3, 10)
SIGNED = {"by": VERIFIER, "date": DAY, "environment": {"python": "3.11.2"}}


def standing(entry, norm=Norm.LINF):
    folder, _ = examine(entry)
    return np.sort(folder.points.id)[folder.standing()[norm]].tolist()


def lay(entry, called="deep", /, key=KEY, fallen=None, **changes):
    """Write a challenge that lowers the entry by two points, with whatever is forged."""
    fallen = {Norm.LINF: standing(entry)[:2]} if fallen is None else fallen
    ids = np.array(sorted({point for points in fallen.values() for point in points}) or [0], dtype=np.int64)
    images = np.zeros((len(ids), 1, 8, 8), dtype=np.float32)
    (entry / f"challenge-{called}.npz").write_bytes(pack_arrays({"id": ids, "image": images}))
    submission, result = read_submission(entry / "submission.toml"), read_result(entry / "result.json")
    made = record(entry, called, submission, result, fallen, **SIGNED).model_copy(update=changes)
    made = sign(made, key) if key else made
    (entry / f"challenge-{called}.json").write_bytes(
        canonical(made.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    )
    return made
