"""Verifiers of the tests: keys made anew in a temporary folder in every session, and verifications that they sign."""

import atexit
import json
import os
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from bench.submission.files import canonical, read_result, read_submission, sha256
from bench.submission.points import read_points
from bench.submission.schema import ProtocolStamp, VerificationLevel
from bench.submission.standing import best_known
from bench.submission.verification import AgainRecord, Verification, verdicts
from bench.submission.verifiers import VARIABLE, make, sign

FOLDER = Path(tempfile.mkdtemp(prefix="verifiers-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
NAME = "A. Maintainer"
LOST = "A. Former Maintainer"
KEY, STRANGER, OLD = (FOLDER / name for name in ("listed.pem", "stranger.pem", "old.pem"))
LIST = FOLDER / "verifiers.toml"
OWN = Path(__file__).resolve().parents[2] / ".github" / "verifiers.toml"


def _listed(name: str, key: str, **more: str) -> str:
    lines = [f"name = {json.dumps(name)}", f"key = {json.dumps(key)}", *(f"{k} = {v}" for k, v in more.items())]
    return "\n[[verifiers]]\n" + "\n".join(lines) + "\n"


def start() -> None:
    """Make the keys and let every check of this process and its children ask the list of them."""
    text = 'schema = "bench.verifiers/1"\n' + _listed(NAME, make(KEY), since="2026-01-01", team='"The Team"')
    text += _listed(LOST, make(OLD), since="2025-01-01", until="2026-03-02")
    text += OWN.read_text("utf-8").partition("\n\n")[2]  # who signed the entries of the checkout
    make(STRANGER)
    LIST.write_text(text, "utf-8")
    os.environ[VARIABLE] = str(LIST)


def record(folder: Path, level: str, day: date, **changes: Any) -> Verification:
    """Return what a verifier who found the same would write of an entry, unsigned."""
    submission, result = read_submission(folder / "submission.toml"), read_result(folder / "result.json")
    points = read_points(folder / "points.npz")
    rows = points.id.argsort()
    threats = tuple(
        AgainRecord(
            norm=threat.norm,
            epsilon=threat.epsilon,
            best_known=standing.count,
            verdicts_sha256=verdicts(standing.points[rows]),
        )
        for threat, standing in zip(result.threats, best_known(result, points).values(), strict=True)
    )
    found = Verification(
        schema_="bench.verification/2",
        by=NAME,
        date=day,
        entry=submission.id,
        level=VerificationLevel(level),
        result_sha256=sha256((folder / "result.json").read_bytes()),
        weights_sha256=result.model.weights_sha256,
        protocol=ProtocolStamp(name=result.protocol.name, digest=result.protocol.digest),
        points=result.data.points,
        correct=result.clean.correct,
        threats=threats,
        environment={"python": "3.11.2"},
        says="Measured again from the pinned weights.",
    )
    return found.model_copy(update=changes)


def verify(folder: Path, level: str, day: date, key: Path = KEY, **changes: Any) -> Verification:
    """Write a signed verification into an entry's folder."""
    signed = sign(record(folder, level, day, **changes), key)
    lay(folder, signed)
    return signed


def lay(folder: Path, found: Verification) -> None:
    """Write a verification as it is, whatever its signature."""
    plain = found.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    (folder / "verification.json").write_bytes(canonical(plain))
