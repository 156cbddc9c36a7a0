# SPDX-License-Identifier: MIT
"""Webhooks of `refreshd sandbox`: bodies as each API documents them, signatures checked with plain
arithmetic, retries."""
import base64
import hashlib
import json

import pytest

from sandbox_client import Receiver, Sandbox

QUICK = {"job_duration_ms": 0, "poll_floor_ms": 0}


@pytest.fixture
def sandbox(tmp_path):
    started = []

    def start(scenario=None, **more):
        started.append(Sandbox(tmp_path, scenario, **more))
        return started[-1]

    yield start
    for one in started:
        assert one.stop()[0] == 0


@pytest.fixture
def receiver():
    started = []

    def start(*statuses):
        started.append(Receiver(statuses))
        return started[-1]

    yield start
    for one in started:
        one.close()


def unpack(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(unpack(text), "big")


def rs256(key, signed, signature):
    """RFC 8017, 8.2.2."""
    modulus, size = number(key["n"]), len(unpack(key["n"]))
    plain = pow(int.from_bytes(signature, "big"), number(key["e"]), modulus).to_bytes(size, "big")
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signed).digest()
    return plain == b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest


P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = ((3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b
             else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(count, point):
    result = None
    while count:
        if count & 1:
            result = add(result, point)
        point, count = add(point, point), count >> 1
    return result


def es256(key, signed, signature):
    """FIPS 186-4, 6.4, with the 64 bytes r || s of RFC 7518."""
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
    if len(signature) != 64 or not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, -1, N)
    e = int.from_bytes(hashlib.sha256(signed).digest(), "big")
    point = add(times(e * inverse % N, G),
                times(r * inverse % N, (number(key["x"]), number(key["y"]))))
    return point is not None and point[0] % N == r


def verifies(keys, token, key_id, body):
    (key,) = [k for k in keys["keys"] if k["kid"] == key_id]
    header, payload, signature = token.split(".")
    assert unpack(payload) == body, "the payload is the body, byte for byte"
    assert json.loads(unpack(header))["alg"] == key["alg"]
    check = {"RS256": rs256, "ES256": es256}[key["alg"]]
    return check(key, f"{header}.{payload}".encode(), unpack(signature))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_finqware_webhook_is_signed(sandbox, receiver, algorithm):
    s, r = sandbox(dict(QUICK, webhook={"algorithm": algorithm})), receiver()
    job = s.create("c", callback_url=r.url + "/hook/token-1?x=1").json["job_id"]
    ((path, headers, body),) = r.wait(1)
    assert path == "/hook/token-1?x=1"
    assert json.loads(body) == {"type": "job_status_update", "consent_id": "c", "job_id": job,
                                "status": "job_completed"}
    keys = s.send("GET", "/finqware/.well-known/jwks.json").json
    assert len(keys["keys"]) == 2 and len({key["kid"] for key in keys["keys"]}) == 2
    assert verifies(keys, headers["x-signature"], headers["x-signature-kid"], body)
    assert s.poll("c", job).json["webhook_url"] == r.url + "/hook/token-1?x=1"


def test_a_bad_signature_does_not_verify(sandbox, receiver):
    s, r = sandbox(dict(QUICK, webhook={"algorithm": "ES256", "bad_signature": True})), receiver()
    s.create("c", callback_url=r.url)
    ((_, headers, body),) = r.wait(1)
    keys = s.send("GET", "/finqware/.well-known/jwks.json").json
    assert not verifies(keys, headers["x-signature"], headers["x-signature-kid"], body)


def test_every_status_or_none(sandbox, receiver):
    s, r = sandbox({"job_duration_ms": 400, "finqware": {"webhook": "every_status"}}), receiver()
    s.create("c", callback_url=r.url)
    words = [json.loads(body)["status"] for _, _, body in r.wait(4)]
    assert sorted(words) == ["accounts_ready", "balances_ready", "job_completed",
                             "transactions_fetching"]
    s.change(finqware={"webhook": "none"}, job_duration_ms=0)
    s.create("d", callback_url=r.url)
    s.change(finqware={"webhook": "final"})
    s.create("e", callback_url=r.url)
    assert [json.loads(body)["consent_id"] for _, _, body in r.wait(5)][4] == "e"


def test_bud_webhooks_of_both_versions(sandbox, receiver):
    r = receiver()
    s = sandbox(dict(QUICK, shares={"no_new_data": 0},
                     bud={"webhook_url_v1": r.url + "/v1", "webhook_url_v2": r.url + "/v2",
                          "revoked_shape": "failed"},
                     consents={"cust-1/b": {"result": "connection_revoked"}})).login()
    task = s.refresh_v1().json["data"]["task_id"]
    ((path, headers, body),) = r.wait(1)
    data = json.loads(body)["data"]
    assert path == "/v1" and data.pop("consent_id")
    assert data == {"task_id": task, "status": "Completed", "result": "success",
                    "task_type": "refresh", "customer_id": "cust-1", "provider": "bank_a",
                    "reconnect_required": "false", "has_new_transactions": "true"}
    keys = s.send("GET", "/bud/bud-callback.jwks").json
    assert verifies(keys, headers["X-Signature"], headers["X-Signing-ID"], body)

    made = s.refresh_v2(providers=["a", "b"]).json["data"]
    bodies = [json.loads(body) for _, _, body in r.wait(4)[1:]]
    whole = [b for b in bodies if b["event"] == "open_banking.v2.refresh.completed"]
    parts = {b["provider"]: b for b in bodies
             if b["event"] == "open_banking.v2.refresh.provider.completed"}
    assert len(whole) == 1 and whole[0]["task_id"] == made["task_id"]
    assert (whole[0]["status"], whole[0]["has_new_transactions"]) == ("Failed", True)
    assert [child["provider"] for child in whole[0]["sub_tasks"]] == ["a", "b"]
    for child in made["sub_tasks"]:
        assert parts[child["provider"]]["task_id"] == child["task_id"]
    assert (parts["b"]["result"], parts["b"]["reconnect_required"]) == ("connection_revoked", True)


def test_bud_tells_about_a_consent(sandbox, receiver):
    s, r = sandbox(dict(QUICK, webhook={"algorithm": "ES256"})), receiver()
    event = {"event": "revoked", "customer": "cu", "provider": "a", "consent_id": "k",
             "reason": "provider_revoked"}
    assert s.send("POST", "/sandbox/v1/consent-event", event).status == 400
    s.change(bud={"webhook_url_consents": r.url + "/consents"})
    assert s.send("POST", "/sandbox/v1/consent-event", {"event": "odd"}).status == 400
    assert s.send("POST", "/sandbox/v1/consent-event", event).status == 200
    ((path, headers, body),) = r.wait(1)
    data = json.loads(body)["data"]
    assert path == "/consents" and data.pop("updated_at").endswith("Z")
    assert data == {"event": "open_banking.consent.revoked", "customer_id": "cu", "provider": "a",
                    "consent_id": "k", "reason": "provider_revoked"}
    keys = s.send("GET", "/bud/bud-callback.jwks").json
    assert verifies(keys, headers["X-Signature"], headers["X-Signing-ID"], body)


def test_retries_follow_the_answer(sandbox, receiver):
    s = sandbox(dict(QUICK, webhook={"algorithm": "ES256", "retries": 2, "retry_ms": 10}))
    r = receiver(503, 500, 200, 404, 302, 500, 500, 500)
    for consent, count in (("a", 3), ("b", 4), ("c", 5), ("d", 8)):
        s.create(consent, callback_url=r.url)
        r.wait(count)
    s.create("last", callback_url=r.url)
    r.wait(9)
    order = [json.loads(body)["consent_id"] for _, _, body in r.received]
    assert order == ["a"] * 3 + ["b", "c"] + ["d"] * 3 + ["last"]


def test_only_loopback_is_called(sandbox):
    s = sandbox(dict(QUICK, webhook={"algorithm": "ES256"}))
    for i, url in enumerate(["http://192.0.2.1/x", "https://127.0.0.1/x", "http://example.com/",
                             "ftp://127.0.0.1/", "nonsense"]):
        assert s.create(f"c-{i}", callback_url=url).status == 200
        s.send("GET", "/sandbox/v1/ledger")
    while s.stats()["webhooks"]["refused_url"] < 5:
        pass
    assert s.stats()["webhooks"]["made"] == 0


def test_webhooks_can_get_lost_or_come_twice(sandbox, receiver):
    s, r = sandbox(dict(QUICK, webhook={"algorithm": "ES256", "duplicates": 1})), receiver()
    s.create("a", callback_url=r.url)
    r.wait(2)
    s.change(webhook={"lost": 1})
    s.create("b", callback_url=r.url)
    s.change(webhook={"lost": 0, "duplicates": 0})
    s.create("c", callback_url=r.url)
    assert [json.loads(body)["consent_id"] for _, _, body in r.wait(3)] == ["a", "a", "c"]
    assert s.stats()["webhooks"]["lost"] == 1
