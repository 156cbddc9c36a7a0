# SPDX-License-Identifier: MIT
"""The transport against servers that misbehave: each misbehaviour is one class of error, costs one
request, and leaks nothing. The real transport runs in tests/tools/transport_probe."""
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from misbehaving_server import CUT_ANSWER, MisbehavingServer
from network_tools import make_certificates, tool, transport, wait_for

MIB = 1024 * 1024

# path -> error, status (None: any), longest body that may be kept
VERDICTS = {
    "/good": ("ok", 200, 100),
    "/chunked": ("ok", 200, 11),
    "/empty": ("ok", 204, 0),
    "/busy": ("ok", 429, 2),
    "/same-length-twice": ("ok", 200, 2),
    "/no-length": ("ok", 200, 11),  # is_unframed: the adapter judges the text
    "/redirect": ("ok", 302, 2),  # an answer like any other; never followed
    "/redirect-other-host": ("ok", 307, 2),
    "/redirect-file": ("ok", 301, 2),
    "/reset": ("reset", None, 0),
    "/reset-in-headers": ("reset", None, 0),
    "/close": ("reset", 0, 0),
    "/short-body": ("truncated", 200, 5),
    "/short-chunked": ("truncated", 200, 3),
    "/bad-chunk": ("reset", 200, 0),
    "/black-hole": ("timeout", 0, 0),
    "/drip": ("timeout", 200, 100),
    "/drip-headers": ("timeout", None, 0),
    "/continue-flood": ("header_limit", None, 0),
    "/header-flood": ("header_limit", None, 0),
    "/long-header": ("header_limit", None, 0),
    "/huge-chunked": ("too_large", 200, MIB),
    "/huge-announced": ("too_large", 200, 0),
    "/huge-no-length": ("too_large", 200, MIB),
    "/gzip-bomb": ("protocol", 200, 0),
    "/gzip-transfer": ("protocol", 200, 0),
    "/nul-in-header": ("protocol", None, 0),
    "/two-lengths": ("protocol", 200, 0),
    "/length-and-chunked": ("protocol", 200, 0),
    "/absurd-length": ("protocol", 200, 0),
    "/negative-length": ("protocol", 200, 0),
    "/plus-length": ("protocol", 200, 0),
    "/status-999": ("protocol", None, 0),
    "/status-099": ("protocol", None, 0),
    "/status-2000": ("protocol", None, 0),
    "/switching": ("protocol", 101, 0),
    "/http-09": ("protocol", None, 0),
    "/garbage": ("protocol", None, 0),
}


@pytest.fixture(name="server")
def fixture_server():
    with MisbehavingServer() as server:
        yield server


@pytest.fixture(name="certificates", scope="module")
def fixture_certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def tls_context(certificates, name, minimum=None, maximum=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_every_misbehaviour_has_its_class(server):
    before = time.monotonic()
    lines, _ = transport("--parallel", "--timeout-ms", 2000, "--concurrency", len(VERDICTS),
                         *(server.url(path) for path in VERDICTS))
    assert time.monotonic() - before < 10
    paths = list(VERDICTS)
    assert sorted(line["index"] for line in lines) == list(range(len(paths)))
    found = {paths[line["index"]]: line for line in lines}
    for path, (error, status, longest) in VERDICTS.items():
        line = found[path]
        assert (path, line["error"]) == (path, error), line
        assert status is None or line["status"] == status, (path, line)
        assert line["body_length"] <= longest, (path, line)
        assert line["reached_socket"] and line["sent_calls"] == 1, (path, line)
        assert (line["detail"] == "") == (error == "ok"), (path, line)
        assert line["unframed"] == (path in ("/no-length", "/huge-no-length")), (path, line)
    # Each was asked for once, and no redirect was followed.
    assert all(server.requests[path] == 1 for path in VERDICTS), server.requests


def test_a_reset_after_every_byte_of_the_answer(server):
    paths = [f"/cut?bytes={count}" for count in range(len(CUT_ANSWER))]
    lines, _ = transport(*(server.url(path) for path in paths))
    assert len(lines) == len(paths)
    for line in lines:
        assert line["error"] == "reset", line
        assert line["reached_socket"] and line["sent_calls"] == 1, line
    assert set(server.requests.values()) == {1}


def test_what_an_answer_carries(server):
    lines, _ = transport(server.url("/good"), server.url("/busy"), server.url("/chunked"))
    assert lines[0]["request_id"] == "r-17"
    assert lines[0]["body"] == '{"good": true}'
    assert lines[0]["content_type"] == "application/json"
    assert lines[0]["retry_after"] is None
    assert lines[1]["retry_after"] == "120"
    assert lines[1]["request_id"] is None  # nothing is left of the answer before
    assert lines[2]["body"] == "hello world"
    assert server.connections == 1


def test_what_a_request_carries(server):
    """Only what we say: no cookie kept, no netrc, no Accept-Encoding, no Expect."""
    body = "x" * 100
    transport("--method", "POST", "--body", body, "--header", "Authorization: Bearer t",
              "--header", "Content-Type: application/json", "--header", "Accept: application/json",
              server.url("/cookie"), server.url("/cookie"))
    assert server.bodies == [body.encode()] * 2
    for head in server.heads:
        names = sorted(line.split(":")[0].lower() for line in head.split("\r\n")[1:])
        assert names == ["accept", "authorization", "content-length", "content-type", "host",
                         "user-agent"]
        assert "Authorization: Bearer t" in head


def test_a_large_request(server):
    body = "0123456789" * 10000
    lines, _ = transport("--method", "POST", "--body", body, *[server.url("/good")] * 2)
    assert [line["error"] for line in lines] == ["ok", "ok"]
    assert server.bodies == [body.encode()] * 2
    assert not any("Expect" in head for head in server.heads)


@pytest.mark.parametrize("method,body", [
    ("GET", None), ("POST", ""), ("PUT", "{}"), ("DELETE", None), ("PATCH", "{}")])
def test_methods(server, method, body):
    lines, _ = transport("--method", method, *(() if body is None else ("--body", body)),
                         server.url("/good"), server.url("/good"))
    assert [line["error"] for line in lines] == ["ok", "ok"]
    assert all(head.startswith(f"{method} /good HTTP/1.1") for head in server.heads)
    assert server.bodies == [(body or "").encode()] * 2
    assert not any("authorization" in head.lower() for head in server.heads)  # no .netrc


def test_a_lost_connection_is_not_sent_on_again(server):
    """libcurl would silently repeat: the second POST must reach the server once."""
    lines, _ = transport("--method", "POST", "--body", "{}", *[server.url("/drop-second")] * 3)
    assert [line["error"] for line in lines] == ["ok", "reset", "ok"]
    assert all(line["sent_calls"] == 1 and line["reached_socket"] for line in lines)
    assert server.requests["/drop-second"] == 3


def test_a_connection_closed_while_idle_costs_nothing(server):
    lines, _ = transport("--pause-ms", 150, "--method", "POST", "--body", "{}",
                         *[server.url("/close-idle")] * 3)
    assert [line["error"] for line in lines] == ["ok"] * 3
    assert all(line["sent_calls"] == 1 for line in lines)
    assert server.requests["/close-idle"] == 3


@pytest.mark.parametrize("path", ["/stray", "/stray-at-once"])
@pytest.mark.parametrize("is_tls", [False, True])
def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(path, is_tls, certificates):
    tls = tls_context(certificates, "good") if is_tls else None
    with MisbehavingServer(tls=tls) as server:
        lines, _ = transport("--ca", certificates / "ca.pem", "--pause-ms", 150,
                             *[server.url(path)] * 3)
        assert [line["body"] for line in lines] == ['{"served": 1}'] * 3, lines
        assert server.requests[path] == 3


@pytest.mark.parametrize("target, on_the_wire", [
    ("/good", None),
    ("/good/a-b_c~d.e:f@g;h=i,j", None),
    ("/good?a=1&b=c%20d", None),
    ("/good?a=b?c/d", None),
    ("/good?", None),
    ("/good?%2F%2f%C3%a9", None),
    ("/good/%2Fa%2fb%C3%a9", None),
    ("/good//a/../b/./c", None),
    ("/good?a=1#part", "/good?a=1"),
    ("/good#part", "/good"),
    ("", "/"),
    ("?a=1", "/?a=1"),
])
def test_a_target_goes_out_as_it_was_written(server, target, on_the_wire):
    """Byte by byte, whatever was asked for before on the same connection."""
    between = ["/good?before=1", "/good/%2f", "/good?x#y", "/good"]
    urls = [server.url(target)]
    for path in between:
        urls += [server.url(path), server.url(target)]
    transport("--base", server.url(""), *urls)
    seen = [head.split(" ")[1] for head in server.heads]
    assert seen[0::2] == [on_the_wire or target] * 5
    assert seen[1::2] == ["/good?before=1", "/good/%2f", "/good?x", "/good"]
    assert server.connections == 1


def test_connections_are_kept(server):
    lines, _ = transport("--count", 2000, "--concurrency", 16, server.url("/good"))
    assert lines[0]["failed"] == 0
    assert lines[0]["connections"] == 16
    assert server.connections == 16
    assert server.requests["/good"] == 2000


def test_more_at_once_than_one_shard_holds(server):
    lines, _ = transport("--count", 1000, "--concurrency", 150, server.url("/good"))
    assert lines[0]["failed"] == 0
    assert lines[0]["connections"] <= 150


def test_body_limit_is_exact(server):
    lines, _ = transport("--body-max", 14, server.url("/good"))
    assert lines[0]["error"] == "ok"
    lines, _ = transport("--body-max", 13, server.url("/good"))
    assert lines[0]["error"] == "too_large"
    lines, _ = transport("--body-max", 10, server.url("/chunked"))
    assert (lines[0]["error"], lines[0]["body"]) == ("too_large", "hello worl")


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    lines, _ = transport(f"http://127.0.0.1:{port}/")
    assert lines[0]["error"] == "connect"
    assert not lines[0]["reached_socket"] and lines[0]["sent_calls"] == 0


def test_a_name_without_address():
    lines, _ = transport("https://no-such-host.invalid/")
    assert lines[0]["error"] == "resolve"
    assert not lines[0]["reached_socket"]


def test_connecting_takes_too_long():
    """A full backlog: SYNs are dropped, so connecting hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        held = []
        try:
            for _ in range(4):
                connection = socket.socket()
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", port))
                held.append(connection)
            lines, _ = transport("--connect-ms", 300, f"http://127.0.0.1:{port}/")
        finally:
            for connection in held:
                connection.close()
    assert lines[0]["error"] == "timeout"
    assert not lines[0]["reached_socket"]


# ---- where requests may go ----

@pytest.mark.parametrize("base", [
    "https://localtest.me", "https://10.1.2.3", "https://metadata.example"])
def test_foreign_origins_are_refused(server, base):
    lines, _ = transport("--base", base, server.url("/good"))
    assert lines[0]["error"] == "refused"
    assert server.connections == 0


@pytest.mark.parametrize("suffix", ["0/good", ".example/good", "@evil.example/good", "x"])
def test_an_origin_is_not_just_a_prefix(server, suffix):
    base = server.url("")
    lines, _ = transport("--base", base, base + suffix)
    assert lines[0]["error"] == "refused"
    assert server.connections == 0


def test_the_token_url_is_an_origin_too(server):
    lines, _ = transport("--base", "https://api.invalid", "--token", server.url("/token"),
                         server.url("/good"))
    assert lines[0]["error"] == "ok"


def test_a_name_that_resolves_to_a_private_address_is_blocked(server):
    """The host's own name resolves to one of its addresses (127.0.1.1 on Debian)."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError:
        pytest.skip("this machine's own name has no address")
    url = f"http://{name}:{server.port}/good"
    lines, _ = transport("--insecure", url)
    assert lines[0]["error"] == "blocked_address", address
    assert "internal" in lines[0]["detail"]
    assert not lines[0]["reached_socket"]
    assert server.connections == 0
    lines, _ = transport("--insecure", "--internal", url)
    assert lines[0]["error"] in ("ok", "connect"), address  # allowed; 127.0.0.1 alone listens


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_loopback_named_literally_is_allowed(server, host):
    lines, _ = transport(server.url("/good", host))
    assert lines[0]["error"] == "ok"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "0"])
def test_odd_spellings_of_loopback_are_not_literal(server, host):
    lines, done = transport("--insecure", f"http://{host}:{server.port}/good", check=False)
    assert done.returncode != 0 or lines[0]["error"] in ("refused", "blocked_address", "resolve",
                                                         "protocol"), lines
    assert server.connections == 0


@pytest.mark.parametrize("url", ["http://provider.example/", "ftp://localhost/",
                                 "file:///etc/passwd", "https://", "https://u:p@localhost/", "localhost", ""])
def test_base_urls_that_are_refused(url):
    _, done = transport(url, check=False)
    assert done.returncode == 78, done


@pytest.mark.parametrize("header", ["A: b\r\nC: d", "A: b\nC: d", "A: \x01", "A: b\x7f"])
def test_headers_cannot_be_smuggled_in(server, header):
    lines, _ = transport("--header", header, server.url("/good"))
    assert lines[0]["error"] == "refused"
    assert server.connections == 0


@pytest.mark.parametrize("path", ["/good\r\nA: b", "/good HTTP/1.1", "/go\tod"])
def test_urls_cannot_be_smuggled_in(server, path):
    lines, _ = transport("--base", server.url(""), server.url(path))
    assert lines[0]["error"] == "refused"
    assert server.connections == 0


def test_a_configured_proxy_is_used_for_tls_by_tunnel(server):
    """The misbehaving server plays the proxy: it sees CONNECT and never the request."""
    lines, _ = transport("--proxy", server.url(""), "--header", "Authorization: Bearer secret",
                         "https://provider.example/refresh")
    assert lines[0]["error"] in ("connect", "reset", "protocol", "internal")
    assert not lines[0]["reached_socket"]
    assert server.heads[0].startswith("CONNECT provider.example:443 HTTP/1.1")
    assert "secret" not in server.heads[0]


# ---- TLS ----

def test_tls_with_a_private_authority(certificates):
    with MisbehavingServer(tls=tls_context(certificates, "good")) as server:
        url = server.url("/good", "localhost")
        lines, _ = transport("--ca", certificates / "ca.pem", url, url)
        assert [line["error"] for line in lines] == ["ok", "ok"]
        assert server.connections == 1


@pytest.mark.parametrize("name", ["other", "expired"])
def test_tls_with_a_wrong_certificate(certificates, name):
    with MisbehavingServer(tls=tls_context(certificates, name)) as server:
        lines, _ = transport("--ca", certificates / "ca.pem", server.url("/good", "localhost"))
        assert lines[0]["error"] == "tls", lines
        assert not lines[0]["reached_socket"] and lines[0]["sent_calls"] == 0
        assert not server.heads


def test_tls_with_an_unknown_authority(certificates):
    with MisbehavingServer(tls=tls_context(certificates, "good")) as server:
        lines, _ = transport(server.url("/good", "localhost"))
        assert lines[0]["error"] == "tls"
        lines, _ = transport("--insecure", server.url("/good", "localhost"))
        assert lines[0]["error"] == "tls"  # insecure means http://, never unverified TLS
        assert not server.heads


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that is the point
def test_old_tls_is_refused(certificates, tmp_path):
    """Also where the system's OpenSSL would allow it."""
    lenient = tmp_path / "openssl.cnf"
    lenient.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
                       "MinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n")
    context = tls_context(certificates, "good", minimum=ssl.TLSVersion.TLSv1,
                          maximum=ssl.TLSVersion.TLSv1_1)
    with MisbehavingServer(tls=context) as server:
        lines, _ = transport("--ca", certificates / "ca.pem", server.url("/good", "localhost"),
                             OPENSSL_CONF=str(lenient))
        assert lines[0]["error"] == "tls"


def test_clear_text_where_tls_is_expected(server, certificates):
    lines, _ = transport("--ca", certificates / "ca.pem", f"https://localhost:{server.port}/good")
    assert lines[0]["error"] in ("tls", "reset", "timeout")
    assert not lines[0]["reached_socket"]


def test_ca_file_must_be_readable(certificates):
    _, done = transport("--ca", certificates / "none.pem", "https://localhost/", check=False)
    assert done.returncode == 78 and "ca_file" in done.stderr


@pytest.mark.skipif(shutil.which("nghttpd") is None,
                    reason="nghttpd is not installed: HTTP/2 untested")
def test_http2_where_it_is_offered(certificates):
    (certificates / "index.html").write_text("hello\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(["nghttpd", "-d", str(certificates), "-a", "127.0.0.1", str(port),
                               str(certificates / "good.key"), str(certificates / "good.pem")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="nghttpd")
        url = f"https://localhost:{port}"
        lines, _ = transport("--ca", certificates / "ca.pem", url + "/index.html", url + "/none")
        assert [line["status"] for line in lines] == [200, 404]
        assert all(line["http2"] and line["error"] == "ok" for line in lines)
        lines, _ = transport("--ca", certificates / "ca.pem", "--count", 500, "--concurrency", 32,
                             "--method", "POST", "--body", "{}", url + "/index.html")
        assert lines[0]["failed"] == 0
        assert lines[0]["connections"] <= 32
    finally:
        server.terminate()
        server.wait(10)


# ---- giving up ----

def test_cancelled_requests_are_not_answered(server):
    lines, _ = transport("--cancel-after-ms", 200, server.url("/black-hole"))
    assert lines == [{"cancelled": 1}]


def test_leaving_with_requests_in_flight(server):
    paths = ["/black-hole", "/drip", "/drip-headers", "/huge-announced"]
    process = subprocess.Popen([tool("transport_probe"), "--parallel", "--timeout-ms", "20000",
                                *(server.url(path) for path in paths)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(server.requests) == len(paths), what="the requests")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert errors == ""
    assert "too_large" in output or output == ""
