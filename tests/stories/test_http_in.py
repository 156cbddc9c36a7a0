# SPDX-License-Identifier: MIT
"""The HTTP listener against abuse: odd requests, slow clients, too many of them (the listener
itself runs in tests/tools/listener_probe). test_http_in_parse covers the reading in more detail."""
import json
import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from network_tools import Listener, read_answer

HOST = b"Host: localhost\r\n"

# name -> request, statuses
ABUSE = {
    "a header of 16 kB": (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 16384 + b"\r\n\r\n", 431),
    "900 headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 900 + b"\r\n", 431),
    "65 headers": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 64 + b"\r\n", 431),
    "a body of 100 kB": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 102400\r\n\r\n" +
                         b"x" * 102400, 413),
    "an endless target": (b"GET /" + b"x" * 100000, 431),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n"
                    b"Content-Length: 3\r\n\r\nabc", 400),
    "length +2": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +2\r\n\r\nab", 400),
    "length and chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\n\r\n", 400),
    "trailers": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
                 b"0\r\nA: b\r\n\r\n", 400),
    "chunked in disguise": (b"POST / HTTP/1.1\r\n" + HOST +
                            b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    "an empty header name": (b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n\r\n", 400),
    "a blank before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400),
    "a NUL": (b"GET / HTTP/1.1\r\n" + HOST + b"A: \0\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    "a GET with a body": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab", 400),
    "a second request behind": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\nGET /b HTTP/1.1\r\n" + HOST +
                                b"\r\n", 400),
    "a POST without length": (b"POST / HTTP/1.1\r\n" + HOST + b"\r\n", 411),
    "another method": (b"DELETE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "CONNECT": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", (400, 405)),
    "a whole URL": (b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "TLS": (bytes([0x16, 3, 1, 0, 0xf0, 1, 0, 0, 0xec, 3, 3]) + bytes(range(64)), 400),
    "noise": (bytes(range(256)) * 64, 400),
}


@pytest.fixture(name="listener")
def fixture_listener():
    with Listener("--http", "127.0.0.1:0") as listener:
        yield listener


def get(path):
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def post(path, body):
    return (b"POST " + path.encode() + b" HTTP/1.1\r\n" + HOST +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize("name", ABUSE)
def test_abuse(listener, name):
    request, statuses = ABUSE[name]
    status, head, body = listener.exchange(request)
    assert status in (statuses if isinstance(statuses, tuple) else (statuses,)), (head, body)
    assert "Connection: close" in head
    assert "X-Content-Type-Options: nosniff" in head
    assert "Content-Type: text/plain" in head
    assert (status != 405) or "Allow: GET, POST" in head
    # The refusal concerned this connection alone.
    assert listener.exchange(get("/after"))[0] == 200


def test_good_requests(listener):
    status, head, body = listener.exchange(get("/a%2Fb?c=d"))
    assert status == 200
    assert "Connection: close" in head and "Content-Type: application/json" in head
    assert json.loads(body)["path"] == "/a%2Fb" and json.loads(body)["query"] == "c=d"
    payload = bytes(range(1, 128)) * 500
    status, _, body = listener.exchange(post("/webhooks/x", payload))
    assert status == 200 and json.loads(body)["body"].encode() == payload
    assert listener.exchange(post("/webhooks/x", b""))[0] == 200
    assert listener.exchange(post("/x", b"x" * 65536))[0] == 200


def test_bytes_one_by_one(listener):
    with listener.connect() as connection:
        for byte in post("/slow", b"abc"):
            connection.sendall(bytes([byte]))
        status, _, body = read_answer(connection)
        assert status == 200 and json.loads(body)["body"] == "abc"


def test_answers_later_and_large(listener):
    assert listener.exchange(get("/later"))[2] == b"later\n"
    assert len(listener.exchange(get("/large"))[2]) == 4 * 1024 * 1024


def test_half_closed_client_gets_its_answer(listener):
    with listener.connect() as connection:
        connection.sendall(get("/later"))
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(connection)[2] == b"later\n"


def test_client_that_leaves_before_the_answer(listener):
    for _ in range(20):
        with listener.connect() as connection:
            connection.sendall(get("/later"))
    assert listener.exchange(get("/later"))[0] == 200


def test_expect_continue(listener):
    with listener.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n" + HOST +
                           b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ab")
        assert read_answer(connection)[0] == 200


def test_slow_clients_are_cut_off():
    with Listener("--http", "127.0.0.1:0", "--request-ms", 700) as listener:
        def idle():
            with listener.connect() as connection:
                before = time.monotonic()
                return read_answer(connection)[0], time.monotonic() - before

        def stalled():
            with listener.connect() as connection:
                before = time.monotonic()
                connection.sendall(post("/", b"abcdef")[:-3])
                return read_answer(connection)[0], time.monotonic() - before

        def dripping():
            with listener.connect() as connection:
                before = time.monotonic()
                try:
                    for byte in get("/" + "x" * 500):
                        connection.sendall(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    pass
                return None, time.monotonic() - before

        with ThreadPoolExecutor(3) as pool:
            results = [future.result() for future in
                       [pool.submit(idle), pool.submit(stalled), pool.submit(dripping)]]
        assert results[0][0] is None  # asked nothing, told nothing
        assert results[1][0] == 408
        assert all(0.5 < seconds < 5 for _, seconds in results), results
    assert listener.counts["timed_out"] >= 3
    assert listener.counts["requests"] == 0


def test_too_many_connections_wait_their_turn():
    with Listener("--http", "127.0.0.1:0", "--connections", 10, "--request-ms", 1500) as listener:
        idle = [listener.connect() for _ in range(10)]
        before = time.monotonic()
        assert listener.exchange(get("/patient"))[0] == 200  # after the idle ones are cut off
        assert 0.5 < time.monotonic() - before < 10
        for connection in idle:
            connection.close()
        with ThreadPoolExecutor(40) as pool:
            statuses = list(pool.map(lambda _: listener.exchange(get("/x"))[0], range(200)))
        assert statuses == [200] * 200
    assert listener.counts["accepted"] == 211


def test_out_of_descriptors_it_waits_without_spinning():
    with Listener("--http", "127.0.0.1:0", "--request-ms", 20000, files_max=24) as listener:
        idle = [listener.connect() for _ in range(60)]
        time.sleep(0.5)
        before = cpu_ticks(listener.process.pid)
        time.sleep(1)
        spent = cpu_ticks(listener.process.pid) - before
        for connection in idle:
            connection.close()
        assert listener.exchange(get("/x"))[0] == 200
    assert spent <= os.sysconf("SC_CLK_TCK") // 5


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_handler_that_never_answers():
    with Listener("--http", "127.0.0.1:0", "--answer-ms", 300) as listener:
        assert listener.exchange(get("/never"))[0] == 503
        assert listener.exchange(get("/x"))[0] == 200


def test_client_that_does_not_read():
    with Listener("--http", "127.0.0.1:0", "--write-ms", 500) as listener:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = listener.where.rsplit(":", 1)
        connection.connect((host, int(port)))
        connection.sendall(get("/large"))
        time.sleep(1.5)
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        connection.close()
        assert len(data) < 4 * 1024 * 1024
    assert listener.counts["timed_out"] == 1
    assert listener.counts["open"] == 0


def test_streams():
    with Listener("--http", "127.0.0.1:0") as listener:
        with listener.connect() as connection:
            connection.sendall(get("/stream"))
            data = b""
            while data.count(b"data: tick\n\n") < 5:
                data += connection.recv(1000)
            assert b"Content-Length" not in data and b"text/event-stream" in data
        with listener.connect() as connection:  # still open when the listener goes
            connection.sendall(get("/stream"))
            connection.recv(1000)
            time.sleep(0.1)
    assert listener.counts["streams_closed"] == 2


def test_unix_socket(tmp_path):
    path = tmp_path / "http.sock"
    with Listener("--http", f"unix:{path}") as listener:
        assert listener.where == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert listener.exchange(get("/x"))[0] == 200
    assert not path.exists()


def test_ipv6():
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    with Listener("--http", "[::1]:0") as listener:
        assert listener.where.startswith("[::1]:")
        assert listener.exchange(get("/x"))[0] == 200


@pytest.mark.parametrize("address", ["", "9410", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:80",
                                     "127.0.0.1:99999", "[::1:80", "no-such-host.invalid:80"])
def test_addresses_that_are_refused(address):
    with pytest.raises(AssertionError):
        Listener("--http", address)
