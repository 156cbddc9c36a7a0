# SPDX-License-Identifier: MIT
"""A pass-through in front of the sandbox that remembers what the daemon said, byte for byte."""

import http.client
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Seen:
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes
    answer: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        """Everything that was said, to look for what must not be."""
        return " ".join([self.path, *self.headers.values(), self.body.decode()])


@dataclass
class Recorder:
    """`recorder.of(url)` is where requests for `url` of the sandbox go instead."""

    upstream: str
    seen: list = field(default_factory=list)

    def __enter__(self):
        recorder = self
        host = urlsplit(self.upstream).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, body)
                recorder.seen.append(seen)
                passed = {n: v for n, v in headers.items() if n not in ("host", "connection")}
                connection = http.client.HTTPConnection(host, timeout=30)
                try:
                    connection.request(self.command, self.path, body or None, passed)
                    answer = connection.getresponse()
                    seen.answer = answer.read()
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
                    self.send_header("Content-Length", str(len(seen.answer)))
                    self.end_headers()
                    self.wfile.write(seen.answer)
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                finally:
                    connection.close()

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def of(self, url):
        parts = urlsplit(url)
        return f"http://127.0.0.1:{self.server.server_port}{parts.path}"

    def at(self, end, method=None):
        """Requests whose path ends so."""
        return [s for s in self.seen if s.path.split("?")[0].endswith(end) and method in (None, s.method)]
