"""Whether every image can be pulled: its registry is asked for the manifest by digest, with the region's credential.

The pull of a registry that speaks the OCI distribution specification: a challenge names where tokens are given, a token
is for one repository, a manifest is asked for by HEAD. https://github.com/opencontainers/distribution-spec/blob/main/
spec.md, "Pull"; https://distribution.github.io/distribution/spec/auth/token/.

A registry that does not answer forbids nothing: a promotion must not depend on being checked. One that says that an
image is not there, or not for this credential, does, if a critical service needs it: ECS would hear the same. A
standard service's is a warning, because nobody in distress has to wait for that service.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from components import naming
from components.workloads import ServiceSpec
from scripts.promotion import findings, public
from scripts.promotion.concurrently import NoAnswer, ask
from scripts.promotion.findings import Finding
from scripts.promotion.site import Site

SUBJECT = "images"
SECONDS = 3.0  # real, for one request
SECONDS_FOR_ALL = 6.0
# What ECS takes, indexes of several platforms first. A registry says "unknown" of a manifest in another format.
FORMATS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DIGEST = "docker-content-digest"
PUSH = "Push that digest again, or set version and digest of a release that is there in Pulumi.yaml."
RENEW = "Give the stack a credential that may read packages: docs/promotion.md, `registryCredential`."
_REFERENCE = re.compile(r"(?P<registry>[^/]+)/(?P<name>[^:@]+)(?::[^@]+)?@(?P<digest>sha256:[0-9a-f]{64})")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Missing(Exception):
    """The registry says that this image cannot be had. The message is its reason, `hint` what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class Unknown(Exception):
    """Nobody can tell. The message says why."""


@dataclass(frozen=True)
class Image:
    """An image as a registry knows it."""

    registry: str
    name: str
    digest: str

    @classmethod
    def of(cls, reference: str) -> Image:
        """Read `registry/name:tag@digest`. Raises ValueError for another form."""
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise ValueError(f"{reference} is no image reference with a digest")
        return cls(found["registry"], found["name"], found["digest"])


def look(site: Site) -> list[Finding]:
    """What is found of the images of all services. Raises what reading the credential raises."""
    secret = naming.secret(site.stack.short, "registry")
    text = site.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    try:
        credential = read_credential(text)
    except ValueError as error:
        hint = 'Its value is {"username": …, "password": …}: `dr bootstrap` writes it, a deployment puts it there.'
        return [findings.refused(SUBJECT, f"The secret {secret} is no registry credential: {error}.", hint)]
    return judge(site.settings.services, credential)


def read_credential(text: str) -> str:
    """The secret's value as HTTP's Basic authorization. Raises ValueError with a reason that tells nothing of it."""
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError("it is no JSON") from None
    if not isinstance(found, dict) or not found.get("username") or not found.get("password"):
        raise ValueError("it has no username and password")
    return "Basic " + b64encode(f"{found['username']}:{found['password']}".encode()).decode()


def judge(services: Sequence[ServiceSpec], credential: str) -> list[Finding]:
    """Ask for all images at once: a finding for each that is not there, one warning for all that nobody knows of."""
    references = sorted({service.image_reference for service in services})
    questions = {reference: partial(_resolve, reference, credential) for reference in references}
    answers = ask(questions, SECONDS_FOR_ALL)
    found, unknown = [], []
    for reference, answer in answers.items():
        if isinstance(answer, Missing):
            users = [service for service in services if service.image_reference == reference]
            names = ", ".join(service.name for service in users)
            said = f"{names}: {reference} cannot be pulled: {answer}. No task of {names} could start."
            say = findings.refused if any(service.critical for service in users) else findings.warning
            found.append(say(SUBJECT, said, answer.hint))
        elif isinstance(answer, Unknown | NoAnswer):
            unknown.append(f"{Image.of(reference).name} ({answer})")
        elif isinstance(answer, Exception):
            raise answer
    if unknown:
        said = f"whether {len(unknown)} of {len(references)} images can be pulled is unknown: {', '.join(unknown)}"
        found.append(findings.warning(SUBJECT, said))
    return found or [findings.ok(SUBJECT, f"{len(references)} images can be pulled")]


def _resolve(reference: str, credential: str) -> str:
    """The digest, once the registry has confirmed it. Raises Missing or Unknown."""
    image = Image.of(reference)
    url = f"https://{image.registry}/v2/{image.name}/manifests/{image.digest}"
    accept = {"Accept": ", ".join(FORMATS)}
    answer = _ask("HEAD", url, accept)
    if answer.status == http.client.UNAUTHORIZED:
        token = _token(image, answer.headers.get("www-authenticate", ""), credential)
        answer = _ask("HEAD", url, {**accept, "Authorization": f"Bearer {token}"})
    if answer.status == http.client.NOT_FOUND:
        raise Missing("the registry does not know it (404, manifest unknown)", PUSH)
    _check(answer, "it")
    if answer.headers.get(DIGEST, image.digest) != image.digest:
        raise Unknown(f"the registry answered with {answer.headers[DIGEST]}")
    return image.digest


def _token(image: Image, challenge: str, credential: str) -> str:
    """A token to pull this image's repository. The credential goes to nobody but the registry itself."""
    asked = dict(_PARAMETER.findall(challenge))
    realm = urllib.parse.urlsplit(asked.get("realm", ""))
    if not challenge.lower().startswith("bearer ") or (realm.scheme, realm.netloc) != ("https", image.registry):
        raise Unknown("the registry asks for another authorization than it used to")
    query = {"service": asked.get("service", image.registry), "scope": f"repository:{image.name}:pull"}
    url = realm._replace(query=urllib.parse.urlencode(query)).geturl()
    answer = _ask("GET", url, {"Authorization": credential})
    _check(answer, "a token for it")
    told = answer.json()
    token = told.get("token") or told.get("access_token")
    if not token:
        raise Unknown("the registry gave no token")
    return str(token)


def _ask(method: str, url: str, headers: Mapping[str, str]) -> public.Answer:
    answer = public.request(method, url, headers, SECONDS)
    if answer.status is None:
        raise Unknown(answer.text)
    return answer


def _check(answer: public.Answer, what: str) -> None:
    if answer.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise Missing(f"the registry denies {what} to the region's credential ({answer.status})", RENEW)
    if answer.status != http.client.OK:
        raise Unknown(f"the registry answered {answer.status}")
