"""Puts a file of weights into the folder of a synthetic entry, so that its record and its people speak of it."""

import hashlib
import json
import re
import struct
from datetime import date
from pathlib import Path

from bench.submission.files import canonical
from tests.support.signers import verify


def packed(header: object, body: bytes = b"") -> bytes:
    """Return a safetensors file with this header, whatever it says."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


SMALL = packed({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16))


def carry(folder: Path, content: bytes = SMALL, ref: str = "mine.safetensors") -> Path:
    """Let an entry be of a file that lies beside it; an entry that was verified is signed again."""
    digest, path = hashlib.sha256(content).hexdigest(), folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    result["model"] |= {"ref": ref, "file_sha256": digest, "normalisation": {"mean": [0.0], "std": [1.0]}}
    path.write_bytes(canonical(result))
    toml = (folder / "submission.toml").read_text("utf-8")
    toml = re.sub(r"(?m)^locator = .*$", 'locator = "weights.safetensors"', toml)
    toml = re.sub(r"(?m)^sha256 = .*$", f'sha256 = "{digest}"', toml)
    (folder / "submission.toml").write_text(toml, "utf-8")
    (folder / "weights.safetensors").write_bytes(content)
    if (folder / "verification.json").exists():
        verify(folder, "re-run", date(2026, 3, 3))
    return folder
