# SPDX-License-Identifier: MIT
"""The probe programs of tests/tools, certificates, and raw sockets, for the network stories."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time


def tool(name):
    """Path of a program of tests/tools; `make check` builds them beside the daemon."""
    path = pathlib.Path(os.environ["REFRESHD"]).resolve().parent / "tests" / "tools" / name
    assert path.is_file(), f"{path} is not built: make check builds it"
    return str(path)


def transport(*arguments, timeout=60, check=True, **variables):
    """Run transport_probe; its lines, read from JSON. The environment holds a proxy that must be
    ignored and a file for TLS keys that must not be written; `variables` are added to it."""
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder) / "keys"
        proxy = "http://127.0.0.1:1"
        environment = dict(os.environ, http_proxy=proxy, HTTPS_PROXY=proxy, ALL_PROXY=proxy,
                           SSLKEYLOGFILE=str(keys), HOME=folder, **variables)
        environment.pop("no_proxy", None)
        environment.pop("NO_PROXY", None)
        (pathlib.Path(folder) / ".netrc").write_text(
            "machine localhost login me password secret\n"
            "machine 127.0.0.1 login me password secret\n")
        done = subprocess.run([tool("transport_probe"), *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=timeout, check=False)
        assert not keys.exists(), "TLS keys were written to SSLKEYLOGFILE"
    if check:
        assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done


class Listener:
    """listener_probe with --http or --control; `counts` after the end."""

    def __init__(self, *arguments, files_max=None):
        limit = ["prlimit", f"--nofile={files_max}"] if files_max else []
        self.process = subprocess.Popen([*limit, tool("listener_probe"), *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening "), self.process.communicate()
        self.where = line.split(" ", 1)[1].strip()
        self.counts = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=20)
        if kind is None:
            assert self.process.returncode == 0, (self.process.returncode, errors)
            assert errors == "", errors
        self.counts = json.loads(output.splitlines()[-1]) if output.strip() else None

    def connect(self):
        if self.where.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.where[5:])
            return connection
        if self.where.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.where)
            return connection
        host, port = self.where.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)), timeout=20)

    def exchange(self, request, timeout=20):
        """Send bytes, read to the end: (status or None, head, body)."""
        with self.connect() as connection:
            connection.settimeout(timeout)
            try:
                connection.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_answer(connection)


def read_answer(connection):
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    if not data:
        return None, "", b""
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode("latin-1"), body


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def make_certificates(folder):
    """A private authority in `folder` with three certificates: good (localhost, 127.0.0.1), other
    (another host), expired. Answers the folder as a path."""
    folder = pathlib.Path(folder)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
            "-subj", "/CN=Test authority", "-days", "30")
    for name, names, dates in (
            ("good", "DNS:localhost,IP:127.0.0.1", ["-days", "30"]),
            ("other", "DNS:elsewhere.example", ["-days", "30"]),
            ("expired", "DNS:localhost,IP:127.0.0.1", ["-days", "-1"])):
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        openssl("req", *curve, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr",
                "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey",
                folder / "ca.key", "-CAcreateserial", "-extfile", folder / f"{name}.ext",
                "-out", folder / f"{name}.pem", *dates)
    return folder


def wait_for(condition, seconds=20, what="it"):
    """Poll until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)
