"""Which addresses a submission may name: one parse, strict enough that every browser reads the same host from it."""

import re
from urllib.parse import unquote

MOST = 2000
"""Bytes; longer addresses do not survive all browsers and servers."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SIGN = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_HTTPS = re.compile(
    rf"https://(?P<host>(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9]))"
    rf"(?P<path>/{_SIGN}*)?(?P<query>\?(?:{_SIGN}|\?)*)?(?P<fragment>#(?:{_SIGN}|\?)*)?"
)
_NAME = r"[A-Za-z0-9._-]+"
_PINNED = {
    "huggingface.co": re.compile(rf"/(?:datasets/)?{_NAME}/{_NAME}/resolve/[0-9a-f]{{40}}/.+"),
    "zenodo.org": re.compile(r"/records?/[1-9][0-9]*/files/[^/]+"),
    "github.com": re.compile(rf"/{_NAME}/{_NAME}/(?:releases/download/[^/]+/[^/]+|raw/[0-9a-f]{{40}}/.+)"),
    "raw.githubusercontent.com": re.compile(rf"/{_NAME}/{_NAME}/[0-9a-f]{{40}}/.+"),
}
_SERVING = {
    "huggingface.co": ("huggingface.co", ".huggingface.co", ".hf.co"),
    "zenodo.org": ("zenodo.org",),
    "github.com": ("github.com", ".githubusercontent.com"),
    "raw.githubusercontent.com": ("raw.githubusercontent.com",),
}
"""Hosts that each of them hands a file out from; one with a dot in front stands for every name below it."""
PINNED = (
    "a Hugging Face file at a 40-digit revision, a file of a Zenodo record, a GitHub release asset or a GitHub file at "
    "a commit"
)
"""Which addresses stay what they are, in words."""


def https(address: str) -> str:
    """Return an address that a reader may follow.

    A host is dotted lower-case labels (other scripts in their ``xn--`` spelling); no user, port, number or
    bracket stands in for one. Path and query hold what RFC 3986 allows, everything else as ``%XX``.

    Raises:
        ValueError: for anything else.
    """
    found = _HTTPS.fullmatch(address)
    if not found or len(found["host"]) > 253 or len(address) > MOST:
        raise ValueError(
            f"{address[:120]!r} is not an https address; expected https://HOST/PATH of at most {MOST} ASCII "
            "characters, without user, port or spaces, HOST with a dot and in lower case"
        )
    return address


def pinned(address: str) -> bool:
    """Tell whether an address names a file that stays what it is, at a host that keeps such files."""
    found = _HTTPS.fullmatch(address)
    if not found or found["fragment"] or found["query"] not in {None, "?download=1", "?download=true"}:
        return False
    path, rule = found["path"] or "", _PINNED.get(found["host"])
    steps = unquote(path).split("/")
    return rule is not None and not {".", ".."} & set(steps) and bool(rule.fullmatch(path))


def serving(address: str) -> tuple[str, ...]:
    """Return the hosts that a pinned address may be answered from; none for an address that is not pinned."""
    found = _HTTPS.fullmatch(address)
    return _SERVING[found["host"]] if found and pinned(address) else ()
