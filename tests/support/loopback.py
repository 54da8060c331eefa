"""A web server on the loopback that serves the files it is given and notes what was asked."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Loopback:
    """Where the server listens, and the requests it saw as ``METHOD path``."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(files: Mapping[str, bytes], headers: Mapping[str, str] | None = None) -> Iterator[Loopback]:
    """Serve ``files`` by path; anything else is 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, *, body):
            seen.asked.append(f"{self.command} {self.path}")
            content = files.get(self.path)
            self.send_response(200 if content is not None else 404)
            content = content if content is not None else b""
            self.send_header("Content-Length", str(len(content)))
            if content:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *words):
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = Loopback(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
