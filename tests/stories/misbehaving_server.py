# SPDX-License-Identifier: MIT
"""An HTTP server that answers wrongly on purpose. The path of a request names the misbehaviour.

    with MisbehavingServer() as server:
        server.url("/reset")

Raw sockets and threads: http.server would refuse to write most of this. It shares no code with
refreshd. `requests` counts complete requests by path, `connections` the accepted connections.
"""
import collections
import gzip
import socket
import struct
import threading
import time

CHUNK = b"x" * 65536


def answer(body=b"{}", status="200 OK", headers=(), length=None):
    """A well-formed answer, unless `headers` or `length` say otherwise."""
    lines = [f"HTTP/1.1 {status}"]
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += ["Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def reset(connection):
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


CUT_ANSWER = answer(b'{"good": true}')


class MisbehavingServer:
    def __init__(self, tls=None):
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.requests = collections.Counter()
        self.bodies = []
        self.heads = []
        self.connections = 0
        self.open = set()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join()

    def url(self, path, host="127.0.0.1"):
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def accept(self):
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, raw):
        connection = raw
        try:
            if self.tls:
                connection = self.tls.wrap_socket(raw, server_side=True)
            self.serve_requests(connection)
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(raw)
            connection.close()

    def serve_requests(self, connection):
        data = b""
        served = 0
        while not self.stopping.is_set():
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            head, data = data.split(b"\r\n\r\n", 1)
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, value = line.split(b":", 1)
                if name.lower() == b"content-length":
                    length = int(value)
            while len(data) < length:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            path = head.split(b" ")[1].decode("latin-1")
            with self.lock:
                self.requests[path] += 1
                self.bodies.append(data[:length])
                self.heads.append(head.decode("latin-1"))
            data = data[length:]
            served += 1
            act = getattr(self, "do" + path.split("?")[0].replace("/", "_").replace("-", "_"), None)
            if act is None:
                connection.sendall(answer(status="404 Not Found"))
            elif act(connection, served) is False:
                return

    # ---- good manners ----

    def do_good(self, connection, _served):
        connection.sendall(answer(b'{"good": true}', headers=["X-Request-Id: r-17"]))

    def do_chunked(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer: t\r\n\r\n")

    def do_busy(self, connection, _served):
        connection.sendall(answer(status="429 Too Many Requests", headers=["Retry-After: 120"]))

    def do_empty(self, connection, _served):
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def do_same_length_twice(self, connection, _served):
        connection.sendall(answer(b"{}", headers=["Content-Length: 2"]))

    # ---- broken connections ----

    def do_reset(self, connection, _served):
        reset(connection)
        return False

    def do_reset_in_headers(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        time.sleep(0.05)
        reset(connection)
        return False

    def do_close(self, connection, _served):
        return False

    def do_cut(self, connection, _served):
        """/cut?bytes=N: the first N bytes of a good answer, then a reset."""
        wanted = int(self.heads[-1].split(" ")[1].split("=")[1])
        connection.sendall(CUT_ANSWER[:wanted])
        time.sleep(0.02)
        reset(connection)
        return False

    def do_short_body(self, connection, _served):
        connection.sendall(answer(b'{"a":', length=100))
        return False

    def do_short_chunked(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        return False

    def do_no_length(self, connection, _served):
        connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"cut": "he')
        return False

    # The first request on a connection is answered, the next one read and then dropped.
    def do_drop_second(self, connection, served):
        if served == 1:
            connection.sendall(answer(b'{"first": true}'))
            return True
        return False

    # Keep-alive is promised, then the idle connection is closed: nothing is lost by that.
    def do_close_idle(self, connection, _served):
        connection.sendall(answer(b'{"closing": true}'))
        time.sleep(0.03)
        return False

    # One answer too many: it must not be taken for the answer to the next request.
    def do_stray(self, connection, served):
        connection.sendall(answer(b'{"served": %d}' % served))
        time.sleep(0.03)
        connection.sendall(answer(b'{"stray": true}'))

    def do_stray_at_once(self, connection, served):
        connection.sendall(answer(b'{"served": %d}' % served) + answer(b'{"stray": true}'))

    # ---- slowness ----

    def do_black_hole(self, connection, _served):
        self.stopping.wait(30)
        return False

    def do_drip(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self.stopping.wait(0.1):
            connection.sendall(b"x")

    def do_drip_headers(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.stopping.wait(0.1):
            connection.sendall(b"x")

    # ---- too much ----

    def do_continue_flood(self, connection, _served):
        while not self.stopping.is_set():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    def do_header_flood(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not self.stopping.is_set():
            connection.sendall(b"X-More: and more\r\n" * 100)

    def do_long_header(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(100):
            connection.sendall(CHUNK)

    def do_huge_chunked(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(500 * 16):  # 500 MB
            connection.sendall(b"10000\r\n" + CHUNK + b"\r\n")

    def do_huge_announced(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n" + CHUNK)
        self.stopping.wait(30)

    def do_huge_no_length(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            connection.sendall(CHUNK)

    def do_gzip_bomb(self, connection, _served):
        body = gzip.compress(b"\0" * 50_000_000)
        connection.sendall(answer(body, headers=["Content-Encoding: gzip"]))

    def do_gzip_transfer(self, connection, _served):
        body = gzip.compress(b"\0" * 50_000_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" +
                           b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    # ---- not HTTP ----

    def do_nul_in_header(self, connection, _served):
        connection.sendall(answer(headers=["X-Nul: a\0b"]))

    def do_two_lengths(self, connection, _served):
        connection.sendall(answer(b'{"a": 1}', headers=["Content-Length: 4"]))

    def do_length_and_chunked(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
                           b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    def do_absurd_length(self, connection, _served):
        connection.sendall(answer(b"{}", length="99999999999999999999"))

    def do_negative_length(self, connection, _served):
        connection.sendall(answer(b"{}", length="-2"))

    def do_plus_length(self, connection, _served):
        connection.sendall(answer(b"{}", length="+2"))

    def do_status_999(self, connection, _served):
        connection.sendall(answer(status="999 Beyond"))

    def do_status_099(self, connection, _served):
        connection.sendall(answer(status="099 Below"))

    def do_status_2000(self, connection, _served):
        connection.sendall(answer(status="2000 Long"))

    def do_switching(self, connection, _served):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello")
        self.stopping.wait(5)

    def do_http_09(self, connection, _served):
        connection.sendall(b'{"no": "headers"}')
        return False

    def do_garbage(self, connection, _served):
        connection.sendall(bytes(range(256)) * 8)
        return False

    def do_bad_chunk(self, connection, _served):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n")
        return False

    # ---- elsewhere ----

    def do_redirect(self, connection, _served):
        connection.sendall(answer(status="302 Found", headers=["Location: /good"]))

    def do_redirect_other_host(self, connection, _served):
        connection.sendall(answer(status="307 Temporary Redirect",
                                  headers=[f"Location: http://localhost:{self.port}/good"]))

    def do_redirect_file(self, connection, _served):
        connection.sendall(answer(status="301 Moved Permanently",
                                  headers=["Location: file:///etc/passwd"]))

    def do_cookie(self, connection, _served):
        connection.sendall(answer(headers=["Set-Cookie: id=1", "Alt-Svc: h3=\":443\"",
                                           "Strict-Transport-Security: max-age=9999"]))
