"""Where the project's state lies, and whether PULUMI_BACKEND_URL names that place. No calls, no printing."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from scripts.errors import RefusedError
from scripts.project import Project

VARIABLE = "PULUMI_BACKEND_URL"


def url(project: Project) -> str:
    return f"s3://{project.state_bucket}?region={project.standby.region}"


def chosen(project: Project, environment: Mapping[str, str]) -> str:
    """The backend's URL: the given one, which may say more on how to get there (a sandbox's does), else our own.

    Raises RefusedError where the given one is another place: a second state would be begun there, unnoticed.
    """
    given = environment.get(VARIABLE)
    if not given:
        return url(project)
    if not _is_ours(project, given, environment.get("AWS_ENDPOINT_URL", "")):
        raise RefusedError(
            f"{VARIABLE} is {_without_password(given)}, but this project's state lies in {url(project)}.",
            f"`unset {VARIABLE}`, or set it to that.",
        )
    return given


def _is_ours(project: Project, given: str, aws: str) -> bool:
    """Bucket and region are ours, nothing below it is meant, and an endpoint is the one that `aws` is at."""
    parts = urlsplit(given)
    query = parse_qs(parts.query)
    return (
        (parts.scheme, parts.netloc, parts.path.strip("/")) == ("s3", project.state_bucket, "")
        and query.get("region") == [project.standby.region]
        and "prefix" not in query
        and {_host(endpoint) for endpoint in query.get("endpoint", [])} <= {_host(aws)}
    )


def _host(endpoint: str) -> str:
    return endpoint.rpartition("//")[2].rstrip("/")


def _without_password(given: str) -> str:
    parts = urlsplit(given)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
