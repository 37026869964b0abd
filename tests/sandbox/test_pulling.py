"""Whether images can be pulled, asked as `dr promote` asks it: by the registry's name, through the sandbox's proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.promotion import images, public
from scripts.promotion.findings import Finding
from tests.components.wiring import SPECS
from tests.sandbox import traffic_world
from tests.sandbox.traffic_world import DIGEST, World

SECRET = "token-that-nobody-may-see"
CREDENTIAL = images.read_credential(f'{{"username": "robot", "password": "{SECRET}"}}')
OTHER = images.read_credential('{"username": "robot", "password": "revoked"}')
ACCEPT = {"Accept": ", ".join(images.FORMATS)}


@dataclass(frozen=True)
class Spec:
    """A service as far as its image goes."""

    name: str
    digest: str = DIGEST
    critical: bool = True

    @property
    def image_reference(self) -> str:
        return traffic_world.image(self.name, digest=self.digest)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with traffic_world.running() as started:
        for name in ("api-gateway", "sync"):
            started.control("POST", "registry", {"image": traffic_world.image(name), "digest": DIGEST})
        started.control("POST", "registry-credential", {"username": "robot", "password": SECRET})
        yield started
        started.assert_sound()


@pytest.fixture
def outside(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The variables of `dr sandbox env`."""
    monkeypatch.setenv("HTTPS_PROXY", world.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(world.directory / "trust.pem"))
    return world


def judged(*specs: Any, credential: str = CREDENTIAL) -> list[Finding]:
    found = images.judge(specs, credential)
    for entry in found:
        assert SECRET not in entry.text + entry.hint
    return found


def test_images_that_are_there_can_be_pulled(outside: World) -> None:
    (found,) = judged(Spec("api-gateway"), Spec("sync"), Spec("sync"))
    assert (found.level, found.text) == ("ok", "2 images can be pulled")


def test_an_image_that_is_gone_is_refused_with_its_service_and_reason(outside: World) -> None:
    gone, there = Spec("sync", "sha256:" + "b" * 64), Spec("api-gateway")
    (found,) = judged(gone, there)
    assert found.level == "refused"
    assert found.text.startswith(f"sync: {gone.image_reference} cannot be pulled")
    assert "manifest unknown" in found.text
    assert "Pulumi.yaml" in found.hint
    assert [entry.level for entry in judged(Spec("nobody-pushed"))] == ["refused"]


def test_what_only_a_standard_service_lacks_is_a_warning(outside: World) -> None:
    gone = "sha256:" + "b" * 64
    assert [found.level for found in judged(Spec("sync", gone, critical=False), Spec("api-gateway"))] == ["warning"]
    shared = judged(Spec("sync", gone, critical=False), Spec("sync", gone))
    assert [found.level for found in shared] == ["refused"], "a critical service uses it, too"


def test_a_credential_that_the_registry_denies_is_refused(outside: World) -> None:
    found = judged(Spec("api-gateway"), Spec("sync"), credential=OTHER)
    assert [entry.level for entry in found] == ["refused", "refused"]
    assert "denies a token for it to the region's credential (403)" in found[0].text
    assert "registryCredential" in found[0].hint


def test_silence_forbids_nothing_and_costs_no_more_than_its_limit(
    outside: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "_open", lambda *_: time.sleep(5))
    monkeypatch.setattr(images, "SECONDS_FOR_ALL", 0.5)
    began = time.monotonic()
    (found,) = judged(Spec("api-gateway"), Spec("sync"))
    assert found.level == "warning"
    assert found.text.startswith("whether 2 of 2 images can be pulled is unknown")
    assert time.monotonic() - began < 2


def test_a_registry_without_a_trusted_certificate_is_told_nothing(
    outside: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody = tmp_path / "nobody.pem"
    nobody.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(nobody))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    (found,) = judged(Spec("api-gateway"))
    assert found.level == "warning"
    assert "CERTIFICATE_VERIFY_FAILED" in found.text


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="https://elsewhere.example.org/token",service="ghcr.io"',
        'Bearer realm="http://ghcr.io/token",service="ghcr.io"',
        'Basic realm="ghcr.io"',
        "",
    ],
)
def test_the_credential_goes_to_nobody_but_the_registry(monkeypatch: pytest.MonkeyPatch, challenge: str) -> None:
    sent: list[str] = []

    def request(_: str, url: str, headers: dict[str, str], __: float) -> public.Answer:
        sent.extend([url] if "Authorization" in headers else [])
        return public.Answer(401, "", {"www-authenticate": challenge})

    monkeypatch.setattr(public, "request", request)
    assert [found.level for found in judged(Spec("api-gateway"))] == ["warning"]
    assert sent == []


@pytest.mark.parametrize("status", [301, 429, 500, 503])
def test_other_answers_forbid_nothing(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(public, "request", lambda *_: public.Answer(status, ""))
    (found,) = judged(Spec("api-gateway"))
    assert (found.level, f"answered {status}" in found.text) == ("warning", True)


@pytest.mark.parametrize("text", ["", "token", "[]", '{"username": "robot"}', '{"username": "", "password": "x"}'])
def test_what_is_no_credential_is_said_without_its_content(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it (is no JSON|has no username and password)$"):
        images.read_credential(text)


def test_every_configured_image_has_a_form_that_can_be_asked_for() -> None:
    for spec in SPECS:
        assert images.Image.of(spec.image_reference).digest.startswith("sha256:")
    with pytest.raises(ValueError, match="no image reference"):
        images.Image.of("ghcr.io/x/y:1")


# -- the registry itself is strict ----------------------------------------------------------------------------------
MANIFEST = f"https://ghcr.io/v2/mental-health-platform/sync/manifests/{DIGEST}"


def ask(url: str, method: str = "GET", **headers: str) -> public.Answer:
    return public.request(method, url, headers, 5)


def token(name: str) -> str:
    url = f"https://ghcr.io/token?service=ghcr.io&scope=repository:mental-health-platform/{name}:pull"
    return str(ask(url, Authorization=CREDENTIAL).json()["token"])


def test_the_registry_says_where_tokens_are_given(outside: World) -> None:
    answer = ask("https://ghcr.io/v2/")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="https://ghcr.io/token",service="ghcr.io"')


def test_a_token_is_for_one_repository_and_a_manifest_for_who_takes_its_format(outside: World) -> None:
    def fresh(repository: str) -> str:  # a token's five modelled minutes are half a second here
        return f"Bearer {token(repository)}"

    assert ask(MANIFEST, "HEAD", Authorization=fresh("sync"), **ACCEPT).status == 200
    assert ask(MANIFEST, "HEAD", Authorization=fresh("api-gateway"), **ACCEPT).status == 401
    assert ask(MANIFEST, "HEAD", Authorization=fresh("sync"), Accept=images.FORMATS[-1]).status == 404
    assert ask(MANIFEST, "HEAD", **ACCEPT).status == 401
    assert ask("https://ghcr.io/token?service=ghcr.io", Authorization=CREDENTIAL).status == 400
    assert ask("https://elsewhere.example.org/v2/").status is None, "nothing else is out there"
