"""A region that is lost by silence, the way of ordinary programs to the public name, and credentials that end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from scripts.promotion import public
from tests.sandbox.failover_names import Names, running_names
from tests.sandbox.traffic_world import DOMAIN, KENYA, SOUTH_AFRICA

PATIENCE = 0.5  # real seconds


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with running_names() as started:
        yield started


@pytest.fixture(autouse=True)
def shell(names: Names, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `dr sandbox env` sets; afterwards the region is back."""
    names.becomes("kenya", True)
    names.expect("primary")
    monkeypatch.setenv("HTTPS_PROXY", names.world.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(names.world.directory / "trust.pem"))
    yield
    names.bring_back(KENYA)


def page() -> tuple[int | None, str]:
    answer = public.get(f"https://{DOMAIN}/x")
    return answer.status, answer.text


def test_any_program_reaches_the_public_name_through_the_proxy(names: Names) -> None:
    assert page() == (200, f"page of {KENYA}")


def test_the_proxy_leads_nowhere_else() -> None:
    for url in ("https://unknown.example.org/", f"https://{DOMAIN}:444/"):
        answer = public.get(url)
        assert answer.status is None
        assert "502" in answer.text


def test_a_silent_region_hangs_where_a_cut_one_ends_at_once(names: Names) -> None:
    impatient = boto3.client(
        "ecs",
        region_name=KENYA,
        endpoint_url=names.world.url,
        aws_access_key_id="OPERATOR",
        aws_secret_access_key="fake",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE),
    )
    names.world.control("POST", "cut", {"region": KENYA, "timing_out": True})
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        impatient.list_clusters()
    answer = public.get(f"https://{DOMAIN}/x", PATIENCE)
    assert time.monotonic() - began >= PATIENCE
    assert time.monotonic() - began < 10 * PATIENCE
    assert answer.status in (None, 200), "silence, or people are elsewhere already"
    names.expect("secondary")  # health checks give it up in their own time
    assert page() == (200, f"page of {SOUTH_AFRICA}")
    names.world.client("ecs", SOUTH_AFRICA).list_clusters()


def test_credentials_end_for_one_principal_only(names: Names) -> None:
    names.world.control("POST", "faults", {"kind": "expired-credentials", "principal": "OPERATOR"})
    try:
        for service in ("sts", "s3", "ecs"):
            client = names.world.client(service, SOUTH_AFRICA)
            operation = {"sts": "get_caller_identity", "s3": "list_buckets", "ecs": "list_clusters"}[service]
            with pytest.raises(ClientError, match="ExpiredToken"):
                getattr(client, operation)()
        with pytest.raises(RuntimeError, match="field principal"):
            names.world.control("POST", "faults", {"kind": "expired-credentials"})
    finally:
        names.world.control("DELETE", "faults", {"kind": "expired-credentials"})
    names.world.client("sts", SOUTH_AFRICA).get_caller_identity()


def test_answers_carry_the_modelled_time(names: Names) -> None:
    answer = names.world.client("sts", SOUTH_AFRICA).get_caller_identity()
    said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(said.timestamp() - names.world.clock.epoch()) < 10 * names.world.clock.speed
