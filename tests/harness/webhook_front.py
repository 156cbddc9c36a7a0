# SPDX-License-Identifier: MIT
"""What stands between a provider and the webhook listener in real life: a reverse proxy. It passes on
what it gets, remembers it, and lets a test send it again, changed or not."""

import http.client
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LISTENING = re.compile(r"event=webhooks_listening address=(\S+)")


def post(address, path, body=b"{}", method="POST"):
    """Status of one request to the listener itself; None when there was no answer."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class WebhookFront:
    """Listens on a port of its own; `log` is where the daemon says on which port it listens."""

    def __init__(self, log):
        self.log = Path(log)
        self.seen = []  # (path, body, status)
        self.swallow = lambda body: False  # what gets lost on the way
        self.lock = threading.Lock()
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = front.forward(self.path, body)
                self.send_response(status or 502)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def listener(self):
        """Where the newest daemon listens."""
        return LISTENING.findall(self.log.read_text())[-1]

    def forward(self, path, body):
        if self.swallow(body):
            return 204
        status = post(self.listener, path, body)
        with self.lock:
            self.seen.append((path, body, status))
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
