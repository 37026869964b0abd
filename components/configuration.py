"""Reads the stack's configuration and turns every fault in it into one message that says where and what is allowed.

`Settings` (settings/stack.py) says what is valid, stack_files.py where a value came from; this file knows the engine's
way of handing values over (one JSON or plain string a key) and the secure values that `dr bootstrap` writes.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components import yaml_files
from components.settings import reference
from components.settings.stack import Settings
from components.stack_files import (
    DEFAULTS,
    HIDDEN,
    PROJECT_FILE,
    Problem,
    Sources,
    bare_times,
    contradictions,
    plain_secrets,
)

SECURE_KEYS: Final = {
    "databaseMasterPassword": "password of the database's administrator",
    "databasePasswords": "object: a password for each service that needs the database",
    "cacheAuthToken": "what services authenticate with at the cache: 16 to 128 letters, digits or `! & # $ ^ < > -`",
    "registryCredential": "object with `username` and `password`, to pull images",
    "signingKey": "the services' shared signing key",
}
"""Keys whose values are secret, and what they hold."""
# "Authenticating with the AUTH command", ElastiCache user guide.
CACHE_TOKEN: Final = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
FROM_ENGINE: Final = ("project", "stack", "region")
"""Fields of Settings that are not configuration keys of our namespace."""


@dataclass(frozen=True)
class SecureSettings:
    """The values that must never be shown. Each is a secret output."""

    database_master_password: pulumi.Output[str]
    database_passwords: Mapping[str, pulumi.Output[str]]
    cache_auth_token: pulumi.Output[str]
    registry_credential: pulumi.Output[str]
    signing_key: pulumi.Output[str]


def load() -> tuple[Settings, SecureSettings]:
    """Settings of the running stack. Raises pulumi.RunError naming every fault at once."""
    project, stack = pulumi.get_project(), pulumi.get_stack()
    given = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    try:
        sources = Sources.read(Path.cwd(), project, stack)
    except yaml_files.FileFault as fault:
        raise pulumi.RunError(
            f"The configuration of stack {stack} cannot be used; nothing was changed.\n  {fault}"
        ) from None
    settings, secure = read_settings(project, stack, given, sources), read_secure(project, given, sources)
    check_files(settings, sources)
    check_passwords(settings, secure)
    return settings, secure


def read_settings(project: str, stack: str, given: Mapping[str, str], sources: Sources) -> Settings:
    """Validate the engine's configuration strings. Raises pulumi.RunError with one line a fault."""
    values: dict[str, Any] = {"project": project, "stack": stack}
    if "aws:region" in given:
        values["region"] = given["aws:region"]
    for key, text in given.items():
        namespace, _, name = key.partition(":")
        if namespace == project and name not in SECURE_KEYS:
            values[name] = _decoded(text)
    defaults = values.pop(DEFAULTS, {})
    if not isinstance(defaults, dict):
        raise _refusal(stack, [Problem(PROJECT_FILE, f"{project}:{DEFAULTS}", _shown(defaults), "must be an object")])
    for name, fields in defaults.items():
        own = values.setdefault(name, fields)
        if isinstance(fields, dict) and isinstance(own, dict):
            values[name] = {**fields, **own}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [_problem(details, project, sources) for details in error.errors(include_url=False)]
        raise _refusal(stack, problems) from None


def read_secure(project: str, given: Mapping[str, str], sources: Sources) -> SecureSettings:
    """The secure values as secret outputs; what they hold is never part of a message."""
    missing = [key for key in SECURE_KEYS if not given.get(f"{project}:{key}")]
    if missing:
        problems = [
            Problem(sources.stack_file, f"{project}:{key}", "(missing)", "written encrypted by `dr bootstrap`")
            for key in missing
        ]
        raise _refusal(pulumi.get_stack(), problems)

    def value(key: str) -> str:
        return given[f"{project}:{key}"]

    passwords, registry = _decoded(value("databasePasswords")), _decoded(value("registryCredential"))
    problems = []
    if not isinstance(passwords, dict):
        allowed = "must be an object {service: password}"
        problems.append(Problem(sources.stack_file, f"{project}:databasePasswords", HIDDEN, allowed))
    if not CACHE_TOKEN.fullmatch(value("cacheAuthToken")):
        allowed = "must be 16 to 128 letters, digits or ! & # $ ^ < > -, which is all that ElastiCache takes"
        problems.append(Problem(sources.stack_file, f"{project}:cacheAuthToken", HIDDEN, allowed))
    if not isinstance(registry, dict) or set(registry) != {"username", "password"}:
        allowed = "must be an object {username, password}"
        problems.append(Problem(sources.stack_file, f"{project}:registryCredential", HIDDEN, allowed))
    if problems:
        raise _refusal(pulumi.get_stack(), problems)
    return SecureSettings(
        database_master_password=pulumi.Output.secret(value("databaseMasterPassword")),
        database_passwords={service: pulumi.Output.secret(str(text)) for service, text in passwords.items()},
        cache_auth_token=pulumi.Output.secret(value("cacheAuthToken")),
        registry_credential=pulumi.Output.secret(json.dumps(registry, sort_keys=True)),
        signing_key=pulumi.Output.secret(value("signingKey")),
    )


def check_files(settings: Settings, sources: Sources) -> None:
    """Refuse secrets that a file holds readable, times that YAML reads, and two stacks' files that contradict."""
    problems = [
        *plain_secrets(sources, settings.project, SECURE_KEYS),
        *bare_times(sources, settings.project),
        *contradictions(settings, sources),
    ]
    if problems:
        raise _refusal(settings.stack, problems)


def check_passwords(settings: Settings, secure: SecureSettings) -> None:
    """Refuse a service that needs the database and has no password: one that came after `dr bootstrap`."""
    missing = [s.name for s in settings.services if s.needs_database and s.name not in secure.database_passwords]
    if missing:
        key = f"{settings.project}:databasePasswords"
        allowed = (
            f"needs a password for {', '.join(missing)}; add it to the object in both stacks, the same in both: "
            f"`pulumi config set --secret {key} -s STACK` reads the object from standard input"
        )
        raise _refusal(settings.stack, [Problem(f"Pulumi.{settings.stack}.yaml", key, HIDDEN, allowed)])


def _refusal(stack: str, problems: list[Problem]) -> pulumi.RunError:
    lines = "\n".join(str(problem) for problem in problems)
    return pulumi.RunError(f"The configuration of stack {stack} cannot be used; nothing was changed.\n{lines}")


def _decoded(text: str) -> Any:
    """Objects and lists arrive as JSON, everything else as plain text."""
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _problem(details: ErrorDetails, project: str, sources: Sources) -> Problem:
    path = details["loc"]
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    full_key = "aws:region" if path == ("region",) else f"{project}:{dotted}" if dotted else project
    file, key = sources.locate(path, full_key)
    return Problem(file, key, _value(details, sources), _allowed(details, path))


def _value(details: ErrorDetails, sources: Sources) -> str:
    """What the message shows of a value: nothing of one that is encrypted, also where its key is misspelt."""
    if details["type"] == "missing":
        return "(missing)"
    if not details["loc"]:
        return "(several keys)"
    return HIDDEN if sources.secret(details["loc"]) else _shown(details["input"])


def _allowed(details: ErrorDetails, path: tuple[str | int, ...]) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return _nearest(str(path[-1]), _known_keys(path[:-1]))
        case "missing":
            return "written by `dr bootstrap`" if path == ("zoneId",) else "required"
        case "literal_error" | "enum":
            return f"allowed: {context['expected']}"
        case "string_pattern_mismatch":
            words = reference.form(_field(path))
            return f"allowed: text that matches {context['pattern']}" + (f" ({words})" if words else "")
        case "value_error":
            return str(context["error"])
        case _:
            return details["msg"]


def _nearest(key: str, known: list[str]) -> str:
    """What an unknown key was probably meant to be."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown key; {hint}known here: {', '.join(sorted(known))}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    model = _model(path)
    top = model is Settings
    names = [field.alias or name for name, field in model.model_fields.items() if not (top and name in FROM_ENGINE)]
    return [*names, DEFAULTS, *SECURE_KEYS] if top else names


def _model(path: tuple[str | int, ...]) -> type[BaseModel]:
    """The settings at a place, which is an object or an entry of a list of them."""
    names = [step for step in path if not isinstance(step, int)]
    if not names:
        return Settings
    found, _ = reference.nested(_field(path).annotation)
    if found is None:
        raise ValueError(f"{'.'.join(names)} holds no settings")
    return found


def _field(path: tuple[str | int, ...]) -> FieldInfo:
    *outer, last = (step for step in path if not isinstance(step, int))
    return next(f for name, f in _model(tuple(outer)).model_fields.items() if last in (name, f.alias))


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"
