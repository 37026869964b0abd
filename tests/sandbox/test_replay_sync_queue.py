"""`dr replay sync-queue` as people call it, with a consumer and PostgreSQL: rows exactly once, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import ChecksFailedError, CredentialsError, IncompleteError, NotConfirmedError, RefusedError
from scripts.project import CHECKOUT
from tests.sandbox.queue_stage import QUEUE, Stage, running_stage
from tests.sandbox.traffic_world import KENYA, master, wait
from tests.scripts import made_up_site

SPEED = 30.0  # the sandbox's clock; the command's own looks are every two real seconds
SECRET = "what nobody else may read"
# The command, with its records in another place.
RUN = """
import sys, pathlib
from scripts import replay
replay.REPLAYS = pathlib.Path(sys.argv.pop(1))
from scripts.dr import main
main()
"""


@dataclass
class Ended:
    """How a run went. `told`: its JSON."""

    code: int
    said: str
    told: dict[str, Any]


@dataclass
class Command:
    """The command in a working copy of its own."""

    stage: Stage
    directory: Path

    def begin(self, *options: str, key: str = "OPERATOR") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", RUN, str(self.directory / "replays"), "replay", "sync-queue", "--json"]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))},
            "PYTHONPATH": str(CHECKOUT),
            "AWS_ENDPOINT_URL": self.stage.platform.world.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "fake",
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, *options], cwd=self.directory, env=environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *options: str, key: str = "OPERATOR") -> Ended:
        return ended(self.begin(*options, key=key))

    def apply(self, *options: str) -> Ended:
        return self.run("-s", "kenya", "--apply", "--confirm", "kenya", *options)


def ended(process: subprocess.Popen[str]) -> Ended:
    out, said = process.communicate(timeout=120)
    return Ended(process.returncode, said, json.loads(out) if out.strip().startswith("{") else {})


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with running_stage(SPEED) as found:
        yield found


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    """Nothing in queues and table, one task of sync."""
    with master(running.platform.endpoint["Port"]) as connection:
        connection.run("truncate app.events")
    running.empty(running.url, running.letters)
    running.scale(1)
    yield running
    running.platform.world.control("DELETE", "faults", {})


@pytest.fixture
def command(stage: Stage, tmp_path: Path) -> Command:
    made_up_site.project(tmp_path)
    return Command(stage, tmp_path)


def message(seq: int, /, **changes: Any) -> dict[str, Any]:
    return {"key": f"key-{seq}", "seq": seq, "body": f"{SECRET} {seq}", **changes}


def keyless(seq: int) -> dict[str, Any]:
    found = message(seq)
    del found["key"]
    return found


def move(stage: Stage) -> dict[str, Any]:
    """The newest move task; empty before the first."""
    found = stage.sqs.list_message_move_tasks(SourceArn=stage.arns["letters"])["Results"]
    return dict(found[0]) if found else {}


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_every_row_exactly_once_with_two_deliveries_and_two_kills(stage: Stage, command: Command) -> None:
    count = 300  # at one a second long enough for a command to start meanwhile
    poison = ["no JSON " + SECRET, keyless(901), message(0, body="contradiction")]
    stage.scale(0)
    stage.send(*map(message, range(count)), *poison, letters=True)
    stage.send(*map(message, range(10)), letters=True)  # the same from the phone again
    stage.send(*(message(seq) for seq in range(500, 505)))  # held while nothing ran
    stage.scale(1)
    stage.platform.world.control("POST", "faults", {"kind": "delivered-twice", "region": KENYA, "queue": QUEUE})
    apply = ("-s", "kenya", "--apply", "--confirm", "kenya", "--rate", "1", "--sample", "0")

    slow = {"kind": "latency", "region": KENYA, "service": "sqs", "seconds": 0.05}
    stage.platform.world.control("POST", "faults", slow)
    sorting = command.begin(*apply)
    wait(lambda: stage.counts(stage.letters)[1] > 0, 60, "hidden dead letters")
    kill(sorting)
    stage.platform.world.control("DELETE", "faults", {"kind": "latency"})
    assert move(stage) == {}, "killed before anything moved"

    moving = command.begin(*apply)
    wait(lambda: move(stage).get("ApproximateNumberOfMessagesMoved", 0) >= 20, 60, "a move on its way")
    kill(moving)
    assert move(stage)["Status"] == "RUNNING", "it goes on without the command"

    found = command.run(*apply)
    assert found.code == ChecksFailedError.exit_code, found.said
    assert found.told["resumed"] is True
    expected = [*range(count), *range(500, 505)]
    assert stage.rows() == [[seq, f"{SECRET} {seq}", f"key-{seq}"] for seq in expected]
    assert (stage.counts(stage.url), stage.counts(stage.letters)) == ((0, 0), (len(poison) + 1, 0))

    file = Path(found.told["not_replayed"]["file"])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    texts = [text if isinstance(text, str) else json.dumps(text) for text in poison]
    assert sorted({line["body"] for line in lines}) == sorted(texts)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert found.told["not_replayed"]["reasons"]["it has no key"] == 1
    assert SECRET not in found.said
    assert SECRET not in json.dumps(found.told)


def test_what_was_mended_is_replayed_and_nothing_is_left(stage: Stage, command: Command) -> None:
    stage.send(message(1))
    wait(lambda: len(stage.rows()) == 1, what="a row")
    stage.send(message(1, body="another"), message(2), letters=True)
    first = command.apply()
    assert (first.code, first.told["not_replayed"]["count"]) == (ChecksFailedError.exit_code, 1), first.said
    with master(stage.platform.endpoint["Port"]) as connection:
        connection.run("delete from app.events where seq = 1")
    second = command.apply()
    assert (second.code, second.told["ok"], second.told["moved"]) == (0, True, 1), second.said
    assert stage.rows() == [[1, "another", "key-1"], [2, f"{SECRET} 2", "key-2"]]
    third = command.apply()
    assert (third.code, "There is nothing to replay" in third.said) == (0, True)


def test_a_dry_run_counts_and_looks_and_changes_nothing(stage: Stage, command: Command) -> None:
    stage.scale(0)
    stage.send(*map(message, range(25)), keyless(26), letters=True)
    stage.send(message(30))
    refused = command.run("-s", "kenya")
    assert (refused.code, "no task runs: sync 0/0" in refused.said) == (RefusedError.exit_code, True)
    stage.empty(stage.url)
    stage.scale(1)
    found = command.run("-s", "kenya", "--sample", "100")
    assert (found.code, found.told["applied"], found.told["dead_letters"]) == (0, False, 26), found.said
    assert [entry["replayed"] for entry in found.told["sample"]].count("it has no key") == 1
    assert {entry["shape"] for entry in found.told["sample"]} > {"seq number, body text of 28"}
    assert SECRET not in found.said + json.dumps(found.told)
    assert (stage.counts(stage.letters), move(stage).get("Status") == "RUNNING") == ((26, 0), False)
    asked = command.run("-s", "kenya", "--sample", "1", "--show-bodies")
    assert SECRET in asked.told["sample"][0]["body"]
    assert not (command.directory / "replays").exists()


def test_a_rate_is_kept(stage: Stage, command: Command) -> None:
    stage.send(*map(message, range(200)), letters=True)
    process = command.begin("-s", "kenya", "--apply", "--confirm", "kenya", "--rate", "4")
    wait(lambda: move(stage).get("Status") == "RUNNING", 60, "a move")
    began = time.time()
    wait(lambda: move(stage)["Status"] == "COMPLETED", 60, "its end")
    seconds = (time.time() - began) * SPEED
    assert move(stage)["MaxNumberOfMessagesPerSecond"] == 4
    assert seconds > 200 / 4 * 0.8
    found = ended(process)
    assert (found.code, len(stage.rows())) == (0, 200), found.said


def test_a_move_that_fails_is_no_success_and_the_next_run_continues(stage: Stage, command: Command) -> None:
    kms = stage.platform.site.client("kms")
    stage.send(*map(message, range(300)), letters=True)
    process = command.begin("-s", "kenya", "--apply", "--confirm", "kenya", "--rate", "1")
    wait(lambda: move(stage).get("Status") == "RUNNING", 60, "a move")
    key = stage.arns["key"].rpartition("/")[2]
    kms.disable_key(KeyId=key)
    found = ended(process)
    kms.enable_key(KeyId=key)
    assert found.code == IncompleteError.exit_code, found.said
    again = command.apply("--rate", "500")
    assert (again.code, len(stage.rows())) == (0, 300), again.said


def test_a_sync_that_does_not_get_on_is_no_success(stage: Stage, command: Command) -> None:
    stage.send(*map(message, range(20)), letters=True)
    stage.allow(stage.grants.replace("sqs:ReceiveMessage", "sqs:GetQueueAttributes"))
    try:
        found = command.apply("--rate", "500")
    finally:
        stage.allow(stage.grants)
    assert (found.code, "sync does not get on" in found.said) == (IncompleteError.exit_code, True)
    again = command.apply()
    assert (again.code, len(stage.rows())) == (0, 20), again.said


def test_expired_credentials_and_a_missing_name_change_nothing(stage: Stage, command: Command) -> None:
    stage.send(message(1), letters=True)
    stage.platform.world.control("POST", "faults", {"kind": "expired-credentials", "principal": "LATE"})
    assert command.run("-s", "kenya", "--apply", "--confirm", "kenya", key="LATE").code == CredentialsError.exit_code
    assert command.run("-s", "kenya", "--apply").code == NotConfirmedError.exit_code
    assert command.run("-s", "kenya", "--rate", "501").code == 2
    assert stage.counts(stage.letters) == (1, 0)


def test_somebody_elses_move_to_elsewhere_is_left_alone(stage: Stage, command: Command) -> None:
    elsewhere = stage.sqs.create_queue(QueueName="elsewhere")["QueueUrl"]
    stage.send(*map(message, range(900)), letters=True)
    source, target = stage.arns["letters"], stage.arns["letters"].replace(stage.letters.rpartition("/")[2], "elsewhere")
    handle = stage.sqs.start_message_move_task(SourceArn=source, DestinationArn=target, MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    found = command.apply()
    assert (found.code, "moving the dead letters to" in found.said) == (RefusedError.exit_code, True)
    stage.sqs.cancel_message_move_task(TaskHandle=handle)
    wait(lambda: move(stage)["Status"] == "CANCELLED", what="its end")
    stage.sqs.purge_queue(QueueUrl=elsewhere)


def test_the_commands_of_the_page_do_it_by_hand(stage: Stage, tmp_path: Path) -> None:
    """Typed as they stand there, but for half an hour of waiting."""
    stage.send(*map(message, range(30)), keyless(40), letters=True)
    page = (CHECKOUT / "docs" / "replay.md").read_text()
    block = page.split("## By hand", 1)[1].split("```console\n", 1)[1].split("```", 1)[0]
    lines = [line.removeprefix("$ ") for line in block.splitlines()]
    later = next(number for number, line in enumerate(lines) if line.startswith("# half an hour later"))

    def typed(*commands: str) -> str:
        aws = f'aws() {{ PYTHONPATH={CHECKOUT} {sys.executable} -m tests.e2e.aws_command "$@"; }}'
        script = "\n".join(["set -eu -o pipefail", aws, *commands])
        keys = {"AWS_ENDPOINT_URL": stage.platform.world.url, "AWS_ACCESS_KEY_ID": "X", "AWS_SECRET_ACCESS_KEY": "x"}
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env={**os.environ, **keys}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = typed(*lines[:later])
    assert '"TaskHandle"' in told
    assert "1\t1" in told, "running and desired tasks of sync"
    wait(lambda: stage.counts(stage.letters) == (1, 0) and stage.counts(stage.url) == (0, 0), 60, "one dead letter")
    settings = [line for line in lines[:later] if "=" in line.split()[0] or line.startswith("export")]
    typed(*settings, *lines[later:])
    left = tmp_path / "not-replayed.json"
    assert json.loads(json.loads(left.read_text())["Messages"][0]["Body"]) == keyless(40)
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert len(stage.rows()) == 30
