# SPDX-License-Identifier: MIT
"""A sandbox process and a small HTTP client that shows everything: what the sandbox's own stories
use. Nothing here is shared with the program under test."""
import base64
import http.client
import http.server
import json
import os
import signal
import subprocess
import threading
import urllib.parse

REFRESHD = os.environ["REFRESHD"]


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


class Sandbox:
    """One `refreshd sandbox` on a free port."""

    def __init__(self, directory, scenario=None, seed=7):
        arguments = [REFRESHD, "sandbox", "--listen", "127.0.0.1:0", "--seed", str(seed)]
        if scenario is not None:
            path = directory / "scenario.json"
            path.write_text(json.dumps(scenario))
            arguments += ["--scenario", str(path)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.ready = json.loads(self.process.stdout.readline())
        host, port = self.ready["listen"].split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=20)

    def stop(self, number=signal.SIGTERM):
        self.connection.close()
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def send(self, method, path, body=None, headers=None, **more):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        headers = dict(headers or {}, **more)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        except Exception:
            self.connection.close()
            raise

    def stats(self, **query):
        return self.send("GET", "/sandbox/v1/stats?" + urllib.parse.urlencode(query)).json

    def breaks(self):
        """The rules that were broken, by count."""
        found = self.stats()["rule_breaks"]
        broken = {rule: count for rule, count in found["by_rule"].items() if count}
        assert found["total"] == sum(broken.values())
        assert set(found["examples"]) == set(broken)
        return broken

    def change(self, **settings):
        answer = self.send("POST", "/sandbox/v1/scenario", settings)
        assert answer.status == 200, answer.body
        return answer

    def later(self, milliseconds):
        """Let the sandbox's clock run ahead."""
        self.offset = getattr(self, "offset", 0) + milliseconds
        self.change(clock_offset_ms=self.offset)

    def ledger(self):
        lines = self.send("GET", "/sandbox/v1/ledger").body.decode().splitlines()
        return [json.loads(line) for line in lines]

    # --- Finqware -------------------------------------------------------------------------------
    finq_login = {"client_id": "acme", "client_secret": "s3cret"}

    def finq(self, path, login=None, account="finqware", headers=None, **fields):
        return self.send("POST", f"/{account}/v2/ais/{path}",
                         dict(self.finq_login if login is None else login, **fields), headers)

    def create(self, consent, **more):
        return self.finq("jobs/create", consent_id=consent, **more)

    def poll(self, consent, job, **more):
        return self.finq("jobs/get", consent_id=consent, job_id=job, **more)

    # --- Bud ------------------------------------------------------------------------------------
    def token(self, account="bud", secret="s3cret", grant="client_credentials", **headers):
        basic = base64.b64encode(f"acme:{secret}".encode()).decode()
        return self.send("POST", f"/{account}/v1/oauth/token", f"grant_type={grant}",
                         dict({"Authorization": f"Basic {basic}", "X-Client-Id": "acme"},
                              **headers))

    def login(self, account="bud"):
        self.bearer = self.token(account).json["data"]["access_token"]
        return self

    def bud(self, method, path, body=None, customer="cust-1", account="bud", drop=(), **headers):
        sent = {"Authorization": f"Bearer {self.bearer}", "X-Client-Id": "acme",
                "X-Customer-Id": customer, **headers}
        return self.send(method, f"/{account}{path}", body,
                         {k: v for k, v in sent.items() if k not in drop})

    V1 = "/v1/open-banking/refresh"
    V2 = "/open-banking/v2/refresh"

    def refresh_v1(self, customer="cust-1", provider="bank_a", headers=None, **fields):
        return self.bud("POST", self.V1, dict(fields, provider=provider), customer,
                        **(headers or {}))

    def refresh_v2(self, customer="cust-1", providers=("bank_a",), headers=None, **fields):
        return self.bud("POST", self.V2, dict(fields, providers=list(providers)), customer,
                        **(headers or {}))

    def status(self, version, task, customer="cust-1", **headers):
        return self.bud("GET", f"{version}/{task}", None, customer, **headers)


class Receiver:
    """A webhook receiver that keeps what comes in and answers as told."""

    def __init__(self, statuses=()):
        self.received, self.statuses = [], list(statuses)
        self.arrived = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.arrived:
                    outer.received.append((self.path, dict(self.headers.items()), body))
                    status = outer.statuses.pop(0) if outer.statuses else 200
                    outer.arrived.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, 20), self.received
            return list(self.received)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
