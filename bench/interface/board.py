"""The board as a pandas table, from submissions, from a built site on disk or from one on the web."""

import json
import tempfile
from pathlib import Path

import pandas as pd

from bench.download import Remote, fetch, hold
from bench.errors import ArtefactError, InputError
from bench.site import frame
from bench.site.downloads import record
from bench.site.entries import read

_SUMS, _ENTRIES = "SHA256SUMS", "entries.json"
_SCHEMA = "bench.site-entries/1"
_MOST = 2**28
"""Bytes that are taken of a file on the web; 10,000 entries have a tenth."""


def load_board(source: str | Path = "submissions") -> pd.DataFrame:
    """Return the board: one row per entry and norm, in the order of protocols, ids and norms.

    Counts are integers; ``clean_share``, ``robust_share``, ``best_known_share`` with its 95 % interval
    (``best_known_low``, ``best_known_high``), ``sparsity`` and ``compression`` are computed from them. What a
    reliability check withholds is missing. ``attrs["columns"]`` says what each column means. With pyarrow beside
    pandas, ``load_board().to_parquet("entries.parquet")`` keeps all of it.

    Args:
        source: folder of submissions (``<protocol>/<entry>/result.json``), folder of a built site, or the address of
            one, whose data are held against its SHA256SUMS.

    Raises:
        InputError: if there is neither, or the address does not answer.
        SubmissionError: if a submission has a problem.
        ArtefactError: if the data of a site are not what its SHA256SUMS says.
    """
    address = str(source)
    if address.startswith(("https://", "http://")):
        with tempfile.TemporaryDirectory() as place:
            folder, base = Path(place), f"{address.rstrip('/')}/data"
            fetch(Remote(_SUMS, f"{base}/{_SUMS}", most=2**20), folder)
            digest = _published(folder / _SUMS)
            return _site(fetch(Remote(_ENTRIES, f"{base}/{_ENTRIES}", digest, most=_MOST), folder))
    root = Path(source)
    if (root / "data" / _ENTRIES).is_file():
        path = root / "data" / _ENTRIES
        hold(path, Remote(_ENTRIES, str(path), _published(root / "data" / _SUMS)))
        return _site(path)
    if not any(root.glob("*/*/result.json")):
        raise InputError(
            f"{address!r} holds neither submissions (<protocol>/<entry>/result.json) nor a built site "
            f"(data/{_ENTRIES}); name one of them."
        )
    catalogue = read(root)
    return frame.frame([record(catalogue, entry) for entry in catalogue])


def _published(path: Path) -> str:
    """Return the digest that a SHA256SUMS gives for the entries."""
    try:
        lines = [line.split("  ", 1) for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{str(path)!r} cannot be read; build the site again.") from None
    for digest, *name in lines:
        if name == [_ENTRIES]:
            return f"sha256:{digest}"
    raise ArtefactError(f"{_SUMS} of the site does not list {_ENTRIES}; nothing is read.")


def _site(path: Path) -> pd.DataFrame:
    found = json.loads(path.read_bytes())
    if found.get("schema") != _SCHEMA:
        raise InputError(f"{_ENTRIES} has the schema {found.get('schema')!r}, expected {_SCHEMA!r}.")
    return frame.frame(found["entries"])
