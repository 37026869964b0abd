"""The files themselves: broken YAML, a key that stands twice, readable secrets, stacks that contradict each other."""

import shutil
from pathlib import Path

import pulumi
import pytest

from components import configuration, yaml_files
from components.configuration import check_files
from components.stack_files import Sources
from tests.components.examples import KENYA, PROJECT, ROOT, SOUTH_AFRICA, settings

STACK_FILE = "Pulumi.south-africa.yaml"
PEER_FILE = "Pulumi.kenya.yaml"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The real configuration files, for a test to change one thing in them."""
    for file in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, tmp_path)
    return tmp_path


def replaced(checkout: Path, file: str, old: str, new: str) -> None:
    text = (checkout / file).read_text()
    assert old in text
    (checkout / file).write_text(text.replace(old, new, 1))


def refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a deployment of south-africa is refused with, before anything is registered."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(pulumi, "get_stack", lambda: SOUTH_AFRICA)
    monkeypatch.setattr(pulumi, "get_project", lambda: PROJECT)
    with pytest.raises(pulumi.RunError) as refusal:
        configuration.load()
    message = str(refusal.value)
    assert "The configuration of stack south-africa cannot be used; nothing was changed." in message
    return message


def checked(checkout: Path) -> str:
    """What the comparison of the files is refused with; empty where they fit."""
    try:
        check_files(settings(SOUTH_AFRICA), Sources.read(checkout, PROJECT, SOUTH_AFRICA))
    except pulumi.RunError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("file", [STACK_FILE, "Pulumi.yaml"])
def test_a_missing_file_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    (checkout / file).unlink()
    assert f"{file} does not exist" in refused(checkout, monkeypatch)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  mental-health-platform:standby", "\tmental-health-platform:standby", "Indent with spaces"),
        ("    cidr: 10.20.0.0/16", "    cidr: 10.20.0.0/16\n    cidr: 10.30.0.0/16", 'duplicate key "cidr". Keep one'),
        ("  aws:region", "  mental-health-platform:standby: false\n  aws:region", "duplicate key"),
        ("    region: eu-west-1", "    region: [eu-west-1", "expected ',' or ']'"),
        ("config:", "config: &all\n  other: *every", "undefined alias 'every'"),
    ],
    ids=["tab", "nested key twice", "flag twice", "open bracket", "unknown alias"],
)
def test_a_broken_file_is_refused_with_its_line(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, expected: str
) -> None:
    replaced(checkout, STACK_FILE, old, new)
    message = refused(checkout, monkeypatch)
    assert expected in message
    assert f"{STACK_FILE}, line " in message


def test_a_file_that_is_a_list_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / STACK_FILE).write_text("- kenya\n")
    assert f"{STACK_FILE} must hold keys and values, it holds list" in refused(checkout, monkeypatch)


def test_a_file_in_another_encoding_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / STACK_FILE).write_bytes("config: {text: Zürich}".encode("latin-1"))
    assert f"{STACK_FILE} is no YAML file" in refused(checkout, monkeypatch)


def test_a_secret_that_stands_twice_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / STACK_FILE
    file.write_text("signingKey: hunter2\nsigningKey: hunter3\n")
    with pytest.raises(yaml_files.FileFault) as fault:
        yaml_files.read(file)
    assert "signingKey" in str(fault.value)
    assert "hunter" not in str(fault.value)


@pytest.mark.parametrize("file", [STACK_FILE, "Pulumi.yaml"])
@pytest.mark.parametrize(
    "entry",
    [
        "signingKey: hunter2",
        "databasePasswords: {sync: hunter2}",
        "databasePasswords: {sync: {secure: v1:abc}, api-gateway: hunter2}",
        "registryCredential: {}",
    ],
)
def test_a_secret_in_plain_text_is_refused_and_not_shown(checkout: Path, file: str, entry: str) -> None:
    replaced(checkout, file, "config:\n", f"config:\n  {PROJECT}:{entry}\n")
    message = checked(checkout)
    assert f"{file}: {PROJECT}:{entry.partition(':')[0]} = [secret]: a secret in plain text; take a new one" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ('"2026-03-02T09:14:30+03:00"', False),
        ("2026-03-02T09:14:30+03:00", True),
        ("2026-03-02T09:14:30", True),
        ("2026-03-02", True),
    ],
)
def test_a_time_that_yaml_would_read_itself_is_refused(checkout: Path, origin: str, refused: bool) -> None:
    replaced(checkout, STACK_FILE, "origin: newest", f"origin: {origin}")
    message = checked(checkout)
    assert (f"{STACK_FILE}: {PROJECT}:database = 2026-03-02" in message) is refused
    assert ("a time belongs in quotes, with its zone" in message) is refused


@pytest.mark.parametrize("value", ["{secure: v1:abc}", "{sync: {secure: v1:abc}, api-gateway: {secure: v1:def}}"])
def test_an_encrypted_secret_is_accepted(checkout: Path, value: str) -> None:
    replaced(checkout, STACK_FILE, "config:\n", f"config:\n  {PROJECT}:databasePasswords: {value}\n")
    assert checked(checkout) == ""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "cidr: 10.10.0.0/16",
            "cidr: 10.20.128.0/20",
            f"network.cidr = 10.20.0.0/16: overlaps 10.20.128.0/20 of {PEER_FILE}",
        ),
        (
            "aws:region: eu-west-1",
            "aws:region: eu-central-1",
            f"peer.region = eu-west-1: {PEER_FILE} says eu-central-1",
        ),
        ("shortName: kenya", "shortName: ke", f"peer.shortName = kenya: {PEER_FILE} says ke"),
        ("    stack: south-africa", "    stack: spare", f"{PEER_FILE} names spare as its peer, not south-africa"),
        ("role: primary", "role: secondary", f"dns.role = secondary: {PEER_FILE} is secondary too"),
        ("ownsShared: false", "ownsShared: true", "ownsShared = true: both stacks own what they share"),
    ],
)
def test_two_stacks_that_contradict_each_other_are_refused(checkout: Path, old: str, new: str, expected: str) -> None:
    replaced(checkout, PEER_FILE, old, new)
    assert expected in checked(checkout)


def test_a_flag_that_the_engine_wrote_as_text_is_understood(checkout: Path) -> None:
    replaced(checkout, PEER_FILE, "ownsShared: false", 'ownsShared: "false"')
    assert checked(checkout) == ""
    replaced(checkout, PEER_FILE, 'ownsShared: "false"', 'ownsShared: "true"')
    assert "both stacks own what they share" in checked(checkout)


def test_the_real_files_fit_together() -> None:
    for stack in (KENYA, SOUTH_AFRICA):
        check_files(settings(stack), Sources.read(ROOT, PROJECT, stack))


@pytest.mark.parametrize("content", [None, "config: [broken", "config:\n  mental-health-platform:network: none\n"])
def test_the_peers_file_is_never_in_the_way_of_a_promotion(checkout: Path, content: str | None) -> None:
    (checkout / PEER_FILE).unlink()
    if content is not None:
        (checkout / PEER_FILE).write_text(content)
    assert "network" not in checked(checkout)
