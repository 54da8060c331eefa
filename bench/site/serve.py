"""Serves a built site on this machine alone."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.errors import BenchError, InputError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing; the address is all that matters."""

    def end_headers(self) -> None:
        """Ask browsers to look again; a site under work changes."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server bound to the loopback address; port 0 takes a free one.

    Raises:
        InputError: if the folder holds no site.
        BenchError: if the port is taken.
    """
    if not (folder / "index.html").exists():
        raise InputError(f"{str(folder)!r} holds no index.html; run bench site build first.")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise BenchError(f"port {port} cannot be used ({error.strerror}); name another with --port.") from None
