"""Loads one file of weights in a process of its own, which the system ends where it takes too much.

Run as ``python -m bench.evaluation.review.trial`` with one JSON object on standard input; prints why it does not load.
"""

import json
import resource
import sys
from pathlib import Path

from bench.errors import BenchError

_MEMORY = 2 * 2**30
"""Bytes of data beyond the file: Python, torch and a few images at work; code that is mapped does not count."""
_COPIES = 8
"""The file as bytes, as tensors, in the network, and each once more in passing."""
_SECONDS = 240
"""Of a processor."""


def _limit(size: int) -> None:
    memory = _MEMORY + _COPIES * size
    for kind, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, _SECONDS), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (wanted, wanted))


def main() -> int:
    """Load what standard input names; return 0 if it loads, 4 with a sentence where it does not."""
    told = json.load(sys.stdin)
    _limit(Path(told["path"]).stat().st_size)
    from bench.models.source import ModelRef, load

    try:
        load(
            ModelRef.parse(
                told["path"], architecture=told["architecture"], mean=tuple(told["mean"]), std=tuple(told["std"])
            )
        )
    except (BenchError, MemoryError, RuntimeError) as error:  # torch says that memory ran out in a RuntimeError
        sys.stdout.write(str(error).partition("\n")[0] or "memory ran out")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
