"""Loads one file of weights in a process of its own, which the system ends where it takes too much.

Run as ``python -m bench.evaluation.review.trial`` with one JSON object on standard input; prints why it does not load.
"""

import json
import resource
import sys

from bench.errors import BenchError

_MEMORY = 24 * 2**30
"""Bytes of addresses: torch maps several gigabytes of libraries before it holds a number."""
_SECONDS = 240
"""Of a processor."""


def _limit() -> None:
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _SECONDS), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (wanted, wanted))


def main() -> int:
    """Load what standard input names; return 0 if it loads, 4 with a sentence where it does not."""
    told = json.load(sys.stdin)
    _limit()
    from bench.models.source import ModelRef, load

    try:
        load(
            ModelRef.parse(
                told["path"], architecture=told["architecture"], mean=tuple(told["mean"]), std=tuple(told["std"])
            )
        )
    except (BenchError, MemoryError) as error:
        sys.stdout.write(str(error) or "memory ran out")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
