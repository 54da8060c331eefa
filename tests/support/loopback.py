"""A web server on the loopback: serves the files it is given, with the quirks it is told, and notes what was asked."""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What is answered in place of a file.

    Attributes:
        cut: bytes after which the connection breaks off, of the body that was announced.
    """

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Loopback:
    """Where the server listens, the requests it saw as ``METHOD path``, and their headers."""

    url: str
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(
    files: Mapping[str, bytes | Answer],
    headers: Mapping[str, str] | None = None,
    *,
    before: Mapping[str, list[Answer]] | None = None,
    parts: bool = True,
) -> Iterator[Loopback]:
    """Serve ``files`` by path; anything else is 404.

    Args:
        headers: of every answer that has a body.
        before: what the first requests for the body of a path get, each answer once.
        parts: whether ranges are known.
    """
    seen = Loopback("")
    waiting = {path: list(answers) for path, answers in (before or {}).items()}
    told = {"seen": seen, "files": files, "extra": headers or {}, "waiting": waiting, "parts": parts}
    handler = type("Handler", (_Handler,), told)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    seen: Loopback
    files: Mapping[str, bytes | Answer]
    extra: Mapping[str, str]
    waiting: dict[str, list[Answer]]
    parts: bool

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        self.seen.asked.append(f"{self.command} {self.path}")
        self.seen.headers.append(dict(self.headers))
        if body and self.waiting.get(self.path):
            found = self.waiting[self.path].pop(0)
        else:
            found = self.files.get(self.path) or self.files.get(self.path.partition("?")[0])
        if found is None:
            found = Answer(404)
        self._send(found if isinstance(found, Answer) else self._file(found), body=body)

    def _file(self, content):
        mark = f'"{hashlib.sha256(content).hexdigest()}"'
        extra = {"ETag": mark, **self.extra}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not self.parts or not asked or self.headers.get("If-Range", mark) != mark:
            return Answer(200, content, extra)
        first = int(asked[1])
        if first >= len(content):
            return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        last = min(int(asked[2] or len(content)), len(content) - 1)
        part = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return Answer(206, content[first : last + 1], extra | part)

    def _send(self, answer, *, body):
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.content)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(answer.content[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    def log_message(self, *words):
        """Stay silent."""
