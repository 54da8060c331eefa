"""Who may lift an entry to a level, and the signatures that show that they did."""

import base64
import binascii
import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, runtime_checkable

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from pydantic import Field, StringConstraints

from bench.errors import BenchError, InputError, SubmissionError, UsageError
from bench.submission.fields import Frozen, Title
from bench.submission.files import dump, read_toml
from bench.text import folded
from bench.threats import Norm

VARIABLE = "BENCH_VERIFIERS"
"""Names another list than the checkout's, for a board of one's own."""
_CURVE = "Ed25519"
SIGNATURE = 88
"""Characters of a signature: 64 bytes as base64."""


class Verifier(Frozen):
    """One key that may sign, and whose it is."""

    name: Title
    key: Annotated[str, StringConstraints(pattern=r"^ssh-ed25519 [A-Za-z0-9+/]{68}$")]
    """The public half, as OpenSSH writes it, without a comment."""
    since: date
    until: date | None = None
    """The last day that it signs for; what it signed before stays."""
    team: Title | None = None
    """Authors that the verifier belongs to; the pages of their entries say that author and verifier are one team."""


class Verifiers(Frozen):
    """verifiers.toml: everybody who may sign, and who ever might."""

    schema_: Annotated[Literal["bench.verifiers/1"], Field(alias="schema")]
    verifiers: Annotated[tuple[Verifier, ...], Field(max_length=1000)] = ()

    def named(self, name: str, day: date) -> list[Verifier]:
        """Return the keys of a verifier that sign for a day."""
        return [
            verifier
            for verifier in self.verifiers
            if verifier.name == name and verifier.since <= day and (verifier.until is None or day <= verifier.until)
        ]


@runtime_checkable
class _Lowers(Protocol):
    """A record with points that fell, per norm."""

    @property
    def threats(self) -> tuple[Any, ...]: ...


class Signed(Frozen):
    """A record that counts only if a listed verifier signed it."""

    by: Title
    """The verifier, as listed."""
    date: date
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/=]*$", max_length=SIGNATURE)] = ""
    """Ed25519 over the kind of record and everything else that it says."""

    def fallen(self: _Lowers, norm: Norm) -> frozenset[int]:
        """Return the ids of points that stand in the submission and fell to the verifier under this norm."""
        return frozenset(point for threat in self.threats if threat.norm is norm for point in threat.fallen)


_Record = TypeVar("_Record", bound=Signed)


def place() -> Path:
    """Return where the list of verifiers lies: beside the code that checks, never beside what is checked."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else Path(__file__).resolve().parents[2] / ".github" / "verifiers.toml"


def listed(path: Path | None = None) -> Verifiers:
    """Return everybody who may sign; nobody where there is no list.

    Raises:
        SubmissionError: if the list is malformed, lists a key twice or names one that is none.
    """
    path = path or place()
    if not path.exists():
        return Verifiers(schema_="bench.verifiers/1")
    found = read_toml(Verifiers, path)
    keys = [verifier.key for verifier in found.verifiers]
    for verifier in found.verifiers:
        if keys.count(verifier.key) > 1:
            raise SubmissionError(f"{path.name}: the key of {verifier.name!r} is listed twice.")
        try:
            _public(verifier.key)
        except ValueError:
            raise SubmissionError(f"{path.name}: the key of {verifier.name!r} is no Ed25519 key.") from None
    return found


def same(first: str, second: str) -> bool:
    """Tell whether two names read alike."""
    return folded(first) == folded(second)


def signer(record: Signed, verifiers: Verifiers) -> Verifier:
    """Return the verifier whose signature a record bears.

    Raises:
        ValueError: if it bears none of a verifier who is listed for its date.
    """
    known = verifiers.named(record.by, record.date)
    if not known:
        raise ValueError(f"{record.by!r} is no listed verifier on {record.date}")
    try:
        signature = base64.b64decode(record.signature, validate=True)
    except binascii.Error:
        raise ValueError("signature is not base64") from None
    for verifier in known:
        try:
            eddsa.new(_public(verifier.key), "rfc8032").verify(_spoken(record), signature)
        except ValueError:
            continue
        return verifier
    raise ValueError(f"signature is not that of {record.by!r} over this record" if signature else "it is not signed")


def holder(key: Path, day: date) -> Verifier:
    """Return the verifier whose private key a file holds, listed for a day.

    Raises:
        InputError: if nobody is listed with that key for that day, or as ``sign`` does.
    """
    half = public(key)
    for verifier in listed().verifiers:
        if verifier.key == half and verifier in listed().named(verifier.name, day):
            return verifier
    raise InputError(
        f"the key in {str(key)!r} is no listed verifier's on {day}, so its signature would not count; `bench verifier "
        "list` shows whose do."
    )


def sign(record: _Record, key: Path) -> _Record:
    """Return a record with the signature of a private key.

    Raises:
        InputError: if the file holds no private Ed25519 key, or others can read it.
    """
    signature = eddsa.new(_private(key), "rfc8032").sign(_spoken(record))
    return record.model_copy(update={"signature": base64.b64encode(signature).decode()})


def make(key: Path) -> str:
    """Write a new private key that only its owner can read, and return its public half.

    Raises:
        UsageError: if the file exists, or lies in a checkout, where it might be committed.
    """
    if key.exists() or key.is_symlink():
        raise UsageError(f"{str(key)!r} exists already; no key is ever overwritten, name another file.")
    if any((parent / ".git").exists() for parent in key.resolve().parents):
        raise UsageError(f"{str(key)!r} lies in a checkout, where it might be committed; name a file outside.")
    made = ECC.generate(curve=_CURVE)
    try:
        key.parent.mkdir(parents=True, exist_ok=True)
        # nobody else can read it at any moment, and nothing that appears meanwhile is written to
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(made.export_key(format="PEM") + "\n")
    except OSError as error:
        raise BenchError(f"cannot write {str(key)!r} ({error.strerror or error}).") from None
    return made.public_key().export_key(format="OpenSSH").strip()


def public(key: Path) -> str:
    """Return the public half of a private key's file, or raise an InputError as ``sign`` does."""
    return _private(key).public_key().export_key(format="OpenSSH").strip()


def _private(key: Path) -> ECC.EccKey:
    try:
        if os.name == "posix" and key.stat().st_mode & 0o077:
            raise InputError(f"{str(key)!r} can be read by others; run chmod 600 on it.")
        found = ECC.import_key(key.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{str(key)!r} cannot be read: {error.strerror or error}.") from None
    except (ValueError, IndexError, TypeError):
        raise InputError(f"{str(key)!r} holds no private Ed25519 key without a passphrase.") from None
    if found.curve != _CURVE or not found.has_private():
        raise InputError(f"{str(key)!r} holds no private Ed25519 key; bench verifier new makes one.")
    return found


def _public(text: str) -> ECC.EccKey:
    try:
        found = ECC.import_key(text)
    except (IndexError, TypeError) as error:
        raise ValueError(str(error)) from None
    if found.curve != _CURVE:
        raise ValueError(f"of {found.curve}")
    return found


def _spoken(record: Signed) -> bytes:
    """Return the bytes that are signed; the name of the record's kind keeps one from standing in for another."""
    kind = type(record).__name__.lower().encode()
    return b"prunebench " + kind + b"\x00" + dump(record.model_copy(update={"signature": ""}))
