# SPDX-License-Identifier: MIT
"""The control socket and its client, over a real socket (tests/tools/listener_probe)."""
import json
import os
import socket
import stat
import subprocess
import time

import pytest
from network_tools import Listener, tool


@pytest.fixture(name="path")
def fixture_path(tmp_path):
    return tmp_path / "state.db.sock"


def call(path, request, timeout_ms=5000):
    return subprocess.run([tool("listener_probe"), "--call", str(path), "--request", request,
                           "--timeout-ms", str(timeout_ms)], capture_output=True, text=True,
                          timeout=30, check=False)


def test_lines_then_the_end(path):
    with Listener("--control", path):
        done = call(path, '{"echo": "a"}')
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ['{"echo": "a"}', '{"uid":%d}' % os.getuid()]
        assert call(path, '{"later": 1}').returncode == 0
        done = call(path, '{"lines":20000}')
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 20000


def test_a_fault_keeps_its_status_and_text(path):
    with Listener("--control", path):
        done = call(path, '{"what\\"ever": 1}')
        assert done.returncode == 64
        assert done.stderr == 'listener_probe: nobody knows "{"what\\"ever": 1}" \n'


def test_mode_does_not_depend_on_the_umask(path):
    old = os.umask(0)
    try:
        with Listener("--control", path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(old)
    assert not path.exists()


def test_a_stale_socket_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with Listener("--control", path):
        assert call(path, '{"echo": 1}').returncode == 0


def test_what_is_not_a_stale_socket_stays(path):
    path.write_text("precious")
    done = subprocess.run([tool("listener_probe"), "--control", str(path)], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 73 and "not a socket" in done.stderr
    assert path.read_text() == "precious"


def test_a_living_socket_is_not_taken_over(path):
    with Listener("--control", path):
        done = subprocess.run([tool("listener_probe"), "--control", str(path)],
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 75
        assert call(path, '{"echo": 1}').returncode == 0


def test_nobody_listens(path):
    done = call(path, "{}")
    assert done.returncode == 69 and str(path) in done.stderr


def test_no_answer_in_time(path):
    with Listener("--control", path):
        before = time.monotonic()
        done = call(path, '{"never": 1}', timeout_ms=300)
        assert done.returncode == 75 and "300 ms" in done.stderr
        assert 0.25 < time.monotonic() - before < 5


def test_the_server_dies_before_the_end(path):
    with Listener("--control", path) as listener:
        client = subprocess.Popen([tool("listener_probe"), "--call", str(path), "--request",
                                   '{"never": 1}', "--timeout-ms", "20000"],
                                  stderr=subprocess.PIPE, text=True)
        with listener.connect() as connection:  # accepted after the client's
            connection.sendall(b'{"echo": 1}\n')
            connection.recv(100)
    _, errors = client.communicate(timeout=20)
    assert client.returncode in (75, 69), errors


def test_a_path_longer_than_a_socket_address(tmp_path):
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    path = folder / "state.db.sock"
    with Listener("--control", path):
        assert call(path, '{"echo": 1}').returncode == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def lines_of(connection, count):
    data = b""
    while data.count(b"\n") < count:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data.decode().splitlines()


def test_several_requests_on_one_connection(path):
    with Listener("--control", path) as listener, listener.connect() as connection:
        connection.settimeout(20)
        connection.sendall(b'{"echo":1}\n{"later":1}\n{"echo":2}\n')
        lines = lines_of(connection, 7)
        uid = '{"uid":%d}' % os.getuid()
        assert lines == ['{"echo":1}', uid, '{"ok":true}', '{"ok":true}', '{"echo":2}', uid,
                         '{"ok":true}']
        connection.sendall(b'{"ec')
        time.sleep(0.05)
        connection.sendall(b'ho":3}\n')
        assert lines_of(connection, 3)[0] == '{"echo":3}'


@pytest.mark.parametrize("request_bytes", [b"x" * 70000, b'{"a":"\0"}\n', b"x" * 65600 + b"\n"],
                         ids=["no end", "NUL", "too long"])
def test_bad_lines_are_refused(path, request_bytes):
    with Listener("--control", path) as listener:
        with listener.connect() as connection:
            connection.settimeout(20)
            connection.sendall(request_bytes)
            last = json.loads(lines_of(connection, 1)[0])
            assert last["ok"] is False and last["exit"] == 65
            try:
                assert connection.recv(100) == b""
            except ConnectionResetError:
                pass  # closed with some of our bytes unread
        assert call(path, '{"echo": 1}').returncode == 0


def test_many_clients_and_some_that_leave(path):
    with Listener("--control", path) as listener:
        idle = [listener.connect() for _ in range(60)]
        for index, connection in enumerate(idle):
            connection.sendall(b'{"never":1}\n' if index % 2 else b'{"lat')
        assert call(path, '{"echo": 1}').returncode == 0
        for connection in idle:
            connection.close()
        for _ in range(100):
            with listener.connect() as connection:
                connection.sendall(b'{"lines":100}\n')  # and away
        assert call(path, '{"echo": 1}').returncode == 0


def test_half_closed_client_gets_its_answer(path):
    with Listener("--control", path) as listener, listener.connect() as connection:
        connection.settimeout(20)
        connection.sendall(b'{"later":1}\n')
        connection.shutdown(socket.SHUT_WR)
        assert lines_of(connection, 1) == ['{"ok":true}']
