"""Running `pulumi` and reading what it reports, with a program in its place that only says things."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from scripts.errors import PulumiError
from scripts.pulumi_cli import EngineEvent, Outcome, PulumiCli, changes_in_preview, describe, split_urn

URN = "urn:pulumi:kenya::mental-health-platform::platform:db:Database$aws:rds/instance:Instance::database-first"
FAILED = """Updating (south-africa):
 +  aws:ec2:Route network creating (0s)
SDK 2026/11/23 19:31:32 WARN Response has no supported checksum. Not validating response payload.
Diagnostics:
  aws:ec2:Route (network):
    error: a route needs a target

Resources:
    + 91 to create
"""


PREVIEW = """Previewing update (south-africa):
Diagnostics:
  pulumi:pulumi:Stack (south-africa):
    warning: serves and protects nobody

Resources:
    + 91 to create

"""


def test_what_went_wrong_is_what_the_update_says_and_not_its_preview() -> None:
    said = Outcome("pulumi up", 1, PREVIEW + FAILED, 1.0).tail()
    assert said == "  aws:ec2:Route (network):\n    error: a route needs a target"


def fake(tmp_path: Path, script: str) -> PulumiCli:
    """A shell script called `pulumi`."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return PulumiCli(tmp_path, {"PATH": f"{program.parent}{os.pathsep}{os.defpath}"})


def test_a_urn_is_split_into_type_and_name() -> None:
    assert split_urn(URN) == ("aws:rds/instance:Instance", "database-first")
    assert split_urn("urn:pulumi:s::p::aws:s3/bucket:Bucket::a::b") == ("aws:s3/bucket:Bucket", "a::b")
    assert describe("create", URN) == "create aws:rds/instance:Instance database-first"


def test_the_changes_of_a_preview() -> None:
    steps = [{"op": operation, "urn": URN} for operation in ("same", "read", "refresh", "update", "replace")]
    assert changes_in_preview(json.dumps({"steps": steps})) == [
        "update aws:rds/instance:Instance database-first",
        "replace aws:rds/instance:Instance database-first",
    ]
    assert changes_in_preview("{}") == []


def test_diagnostics_are_told_without_noise() -> None:
    told = Outcome("pulumi up", 1, FAILED, 1.0).tail()
    assert told == "  aws:ec2:Route (network):\n    error: a route needs a target"
    assert Outcome("pulumi", 1, "one\ntwo\nthree\n", 1.0).tail(2) == "two\nthree"
    assert Outcome("pulumi", 1, "", 1.0).tail() == ""


def test_a_failure_raises_with_the_command_and_its_words(tmp_path: Path) -> None:
    cli = fake(tmp_path, "echo 'error: no such stack' >&2; exit 255")
    with pytest.raises(PulumiError, match=r"`pulumi up --stack x` ended with code 255:\nerror: no such stack"):
        cli.run("up", "--stack", "x")
    assert cli.run("up", check=False).code == 255


def test_without_a_pulumi_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PulumiError, match="not on PATH") as raised:
        PulumiCli(tmp_path, {"PATH": str(tmp_path)}).run("version")
    assert raised.value.hint == "Run `make setup` first."


def test_a_secret_goes_through_standard_input(tmp_path: Path) -> None:
    cli = fake(tmp_path, 'echo "$@" > arguments; cat > stdin')
    cli.set_secret("kenya", "signingKey", "s3cret")
    assert (tmp_path / "stdin").read_text() == "s3cret"
    assert "s3cret" not in (tmp_path / "arguments").read_text()


def test_stacks_and_keys(tmp_path: Path) -> None:
    cli = fake(
        tmp_path,
        """if [ "$1" = stack ]; then echo '[{"name": "kenya"}, {"name": "south-africa"}]'
        else echo '{"aws:region": {}, "mental-health-platform:zoneId": {}}'; fi""",
    )
    assert cli.stacks() == {"kenya", "south-africa"}
    assert cli.config_keys("kenya") == {"region", "zoneId"}


def test_events_arrive_while_the_command_runs_and_after_the_log_began_anew(tmp_path: Path) -> None:
    """The engine writes the preview's events, then begins the file anew with the update's."""
    log = tmp_path / "events"
    cli = fake(
        tmp_path,
        f"""echo '{{"number": 1}}' > {log}; echo '{{"number": 2}}' >> {log}; sleep 0.4
        echo '{{"number": 3}}' > {log}; sleep 0.4; printf '{{"num' >> {log}; printf 'ber": 4}}\\n' >> {log}""",
    )
    seen: list[tuple[float, int]] = []

    def note(t: float, event: EngineEvent) -> None:
        seen.append((t, event["number"]))

    outcome = cli.watch("up", log=log, on_event=note)
    assert [number for _, number in seen] == [1, 2, 3, 4]
    assert seen[0][0] < outcome.ended - 0.3


def test_a_listener_that_fails_is_heard_of(tmp_path: Path) -> None:
    log = tmp_path / "events"
    cli = fake(tmp_path, f"echo '{{}}' > {log}; sleep 0.3")

    def fail(_: float, __: EngineEvent) -> None:
        raise LookupError("listener")

    with pytest.raises(LookupError, match="listener"):
        cli.watch("up", log=log, on_event=fail)


def test_an_interruption_ends_the_command_with_all_its_children(tmp_path: Path) -> None:
    cli = fake(tmp_path, "sleep 60 & echo $! > child; echo $$ > parent; wait")

    def interrupt() -> None:
        deadline = time.monotonic() + 5
        while not (tmp_path / "parent").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        cli.run("up")
    thread.join()
    for name in ("child", "parent"):
        assert ends(int((tmp_path / name).read_text())), name


def ends(pid: int) -> bool:
    """Whether a process ends soon: a killed one needs a moment on a busy machine."""
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be noticed does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")
