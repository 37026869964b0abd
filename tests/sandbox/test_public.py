"""The client on the internet: it believes DNS for the TTL, trusts one authority, and tells an answer from silence."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from sandbox.clock import Clock
from sandbox.cloud.emulations import authority
from sandbox.public import DEFAULT_DOMAIN, PublicClient, Unreachable

SPEED = 600.0
TTL = 60  # modelled seconds: a tenth of a real one


class Site(ThreadingHTTPServer):
    """A load balancer with TLS that answers with its name and what it was sent."""

    daemon_threads = True

    def __init__(self, name: str, certificate_for: str = DEFAULT_DOMAIN, status: int = 200, delay: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _SiteHandler)
        self.site, self.status, self.delay = name, status, delay
        context = authority.server_context([certificate_for])
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that refuses the certificate is expected."""


class _SiteHandler(BaseHTTPRequestHandler):
    server: Site

    def _answer(self) -> None:
        time.sleep(self.server.delay)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = {"site": self.server.site, "host": self.headers["Host"], "path": self.path, "sent": sent}
        body = json.dumps(told).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Cloud(ThreadingHTTPServer):
    """The control API's two calls that the client makes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _CloudHandler)
        self.answer: dict[str, Any] | None = None  # None: the name does not exist
        self.asked = 0
        self.trusted = authority.root_pem()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def lead_to(self, site: ThreadingHTTPServer | int | None, region: str, record: str = "primary") -> None:
        port = site.server_port if isinstance(site, ThreadingHTTPServer) else site
        self.answer = {"address": "127.0.0.1", "port": port, "region": region, "record": record, "ttl": TTL}
        self.answer["target"] = f"alb.{region}"


class _CloudHandler(BaseHTTPRequestHandler):
    server: Cloud

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/_sandbox/authority":
            return self._send(200, {"pem": self.server.trusted})
        self.server.asked += 1
        assert urllib.parse.parse_qs(query)["name"] == [DEFAULT_DOMAIN]
        if self.server.answer is None:
            return self._send(400, {"error": f"{DEFAULT_DOMAIN} has no alias record in any hosted zone"})
        return self._send(200, self.server.answer)

    def _send(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def kenya() -> Iterator[Site]:
    made = Site("kenya")
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def south_africa() -> Iterator[Site]:
    made = Site("south-africa", status=503)
    with serving(made):
        yield made


def client_of(cloud: Cloud, speed: float = SPEED, timeout: float = 5.0) -> PublicClient:
    return PublicClient(f"{cloud.url}/_sandbox", Clock(speed), timeout=timeout)


def test_it_asks_dns_and_then_whom_it_names(cloud: Cloud, kenya: Site) -> None:
    cloud.lead_to(kenya, "eu-west-1")
    client = client_of(cloud)
    answer = client.get("/api/events?after=3")
    assert (answer.status, answer.answered_by) == (200, "eu-west-1")
    told = json.loads(answer.body)
    assert (told["site"], told["host"], told["path"]) == ("kenya", DEFAULT_DOMAIN, "/api/events?after=3")
    assert json.loads(json.loads(client.post("/api/events", {"seq": 1}).body)["sent"]) == {"seq": 1}


def test_an_error_page_is_an_answer(cloud: Cloud, south_africa: Site) -> None:
    cloud.lead_to(south_africa, "af-south-1")
    answer = client_of(cloud).get("/")
    assert (answer.status, answer.answered_by) == (503, "af-south-1")


def test_it_keeps_the_answer_for_its_ttl_and_no_longer(cloud: Cloud, kenya: Site, south_africa: Site) -> None:
    cloud.lead_to(kenya, "eu-west-1")
    client = client_of(cloud, speed=60)  # the TTL lasts one real second
    assert client.get("/").answered_by == "eu-west-1"
    cloud.lead_to(south_africa, "af-south-1", "secondary")
    assert client.get("/").answered_by == "eu-west-1"
    assert cloud.asked == 1
    time.sleep(1.05)
    assert client.get("/").answered_by == "af-south-1"
    assert cloud.asked == 2


def test_silence_tells_where_it_was(cloud: Cloud) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        cloud.lead_to(taken.getsockname()[1], "eu-west-1")
        with pytest.raises(Unreachable, match="refused") as caught:
            client_of(cloud).get("/")
    assert caught.value.region == "eu-west-1"


def test_who_takes_too_long_is_silent_too(cloud: Cloud) -> None:
    slow = Site("slow", delay=1.0)
    with serving(slow):
        cloud.lead_to(slow, "eu-west-1")
        began = time.monotonic()
        with pytest.raises(Unreachable, match="timed out"):
            client_of(cloud, timeout=0.2).get("/")
        assert time.monotonic() - began < 0.9


def test_a_name_that_does_not_exist(cloud: Cloud) -> None:
    with pytest.raises(Unreachable, match="has no alias record") as caught:
        client_of(cloud).get("/")
    assert caught.value.region is None


def test_a_load_balancer_that_does_not_listen(cloud: Cloud) -> None:
    cloud.lead_to(None, "eu-west-1")
    with pytest.raises(Unreachable, match="does not listen on 443") as caught:
        client_of(cloud).get("/")
    assert caught.value.region == "eu-west-1"


def test_a_cloud_that_is_gone_is_silence(cloud: Cloud) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = PublicClient(f"http://127.0.0.1:{taken.getsockname()[1]}", Clock(SPEED))
        with pytest.raises(Unreachable):
            client.get("/")


def test_a_certificate_for_another_name_is_refused(cloud: Cloud) -> None:
    other = Site("other", certificate_for="elsewhere.example.net")
    with serving(other):
        cloud.lead_to(other, "eu-west-1")
        with pytest.raises(Unreachable, match="Hostname mismatch"):
            client_of(cloud).get("/")


def test_a_certificate_of_another_authority_is_refused(cloud: Cloud, kenya: Site) -> None:
    certificate, _ = authority._root.__wrapped__()  # a second authority with the same name
    cloud.trusted = certificate.public_bytes(serialization.Encoding.PEM).decode()
    cloud.lead_to(kenya, "eu-west-1")
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        client_of(cloud).get("/")


def test_many_threads_may_share_it(cloud: Cloud, kenya: Site) -> None:
    cloud.lead_to(kenya, "eu-west-1")
    client = client_of(cloud, speed=1)
    client.get("/")
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(client.get("/").status)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [200] * 16
    assert cloud.asked == 1
