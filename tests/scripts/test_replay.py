"""`dr replay sync-queue` with an AWS that never existed: every refusal with its code, and what each ending leaves.

What it does to queues, a consumer and PostgreSQL is in tests/sandbox/test_replay_sync_queue.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from scripts import replay
from scripts.errors import (
    ChecksFailedError,
    CredentialsError,
    DrError,
    IncompleteError,
    NotConfirmedError,
    RefusedError,
)
from scripts.redrive import choosing
from scripts.redrive.queues import Move, Queues
from tests.scripts.made_up_site import ACCOUNT, STACK, MadeUp, denied, state

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
QUEUE, LETTERS = "mental-health-platform-sa-sync", "mental-health-platform-sa-sync-dead-letters"
GOOD, KEYLESS = '{"key": "k", "seq": 1, "body": "about somebody"}', '{"seq": 1, "body": "about somebody"}'
NO_QUEUE = denied("AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl")


def arn(name: str) -> str:
    return f"arn:aws:sqs:af-south-1:{ACCOUNT}:{name}"


class Sqs:
    """Two queues in memory; a step of time passes with each look. `moves`: the answers about the newest task, the last
    of which stays."""

    def __init__(self, site: MadeUp) -> None:
        self.site = site
        self.dead: list[str] = []
        self.held = 0
        self.hidden: list[int] = []  # letters that somebody else hides, at each look
        self.moves: list[dict[str, Any] | None] = [None]
        self.visibility: list[tuple[str, int]] = []
        self.started: list[dict[str, Any]] = []
        self.steps = 0
        site.answers |= {
            "sts.get_caller_identity": {"Account": ACCOUNT, "Arn": "arn:me", "ResponseMetadata": {}},
            "sqs.get_queue_url": lambda **given: {"QueueUrl": given["QueueName"]},
            "sqs.get_queue_attributes": self.attributes,
            "sqs.receive_message": self.receive,
            "sqs.change_message_visibility_batch": self.change,
            "sqs.list_message_move_tasks": self.list,
            "sqs.start_message_move_task": self.start,
            "ecs.describe_services": {"services": [{"serviceName": "sync", "runningCount": 1, "desiredCount": 1}]},
        }
        self.redrive: dict[str, Any] = {"deadLetterTargetArn": arn(LETTERS), "maxReceiveCount": 5}
        self._given: set[str] = set()
        self.refuses: set[str] = set()  # receipts whose time of hiding cannot be changed

    def told(self, **answer: Any) -> dict[str, Any]:
        self.steps += 1
        date = format_datetime(BEGAN + timedelta(minutes=self.steps), usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def attributes(self, **given: Any) -> dict[str, Any]:
        name, asked = given["QueueUrl"], given["AttributeNames"]
        visible, hidden = (len(self.dead), 0) if name == LETTERS else (self.held, 0)
        if name == LETTERS and self.hidden and "QueueArn" not in asked:
            hidden = self.hidden.pop(0)
        values = {
            "QueueArn": arn(name),
            "VisibilityTimeout": "300",
            "RedrivePolicy": json.dumps(self.redrive) if name == QUEUE else "",
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        return self.told(Attributes={attribute: values[attribute] for attribute in asked})

    def receive(self, **given: Any) -> dict[str, Any]:
        assert given["QueueUrl"] == LETTERS, "a receipt in the queue itself counts towards the dead letters"
        fresh = [number for number in range(len(self.dead)) if str(number) not in self._given]
        del fresh[given["MaxNumberOfMessages"] :]
        self._given |= set(map(str, fresh))
        messages = [
            {
                "MessageId": str(number),
                "ReceiptHandle": str(number),
                "Body": self.dead[number],
                "Attributes": {"SentTimestamp": str(int(BEGAN.timestamp() * 1000))},
            }
            for number in fresh
        ]
        return self.told(Messages=messages)

    def change(self, **given: Any) -> dict[str, Any]:
        failed = [entry for entry in given["Entries"] if entry["ReceiptHandle"] in self.refuses]
        for entry in given["Entries"]:
            if entry in failed:
                continue
            self.visibility.append((entry["ReceiptHandle"], entry["VisibilityTimeout"]))
            if entry["VisibilityTimeout"] == 0:
                self._given.discard(entry["ReceiptHandle"])
        return self.told(Successful=[entry for entry in given["Entries"] if entry not in failed], Failed=failed)

    def list(self, **_: Any) -> dict[str, Any]:
        now = self.moves.pop(0) if len(self.moves) > 1 else self.moves[0]
        return self.told(Results=[now] if now else [])

    def start(self, **given: Any) -> dict[str, Any]:
        self.started.append(given)
        self.dead = [body for number, body in enumerate(self.dead) if str(number) in self._given]
        return self.told(TaskHandle="handle")


def at(minutes: float) -> int:
    """A moment as SQS writes it."""
    return int((BEGAN + timedelta(minutes=minutes)).timestamp() * 1000)


def task(status: str = "COMPLETED", moved: int = 1, **more: Any) -> dict[str, Any]:
    counts = {"ApproximateNumberOfMessagesMoved": moved, "ApproximateNumberOfMessagesToMove": 10}
    return {"Status": status, "DestinationArn": arn(QUEUE), "StartedTimestamp": at(0), **counts, **more}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    monkeypatch.setattr(replay, "REPLAYS", tmp_path / "replays")
    monkeypatch.setattr(replay, "LOOK_EVERY", 0.0)
    return MadeUp(tmp_path)


@pytest.fixture
def sqs(site: MadeUp) -> Sqs:
    return Sqs(site)


def command(site: MadeUp, **options: Any) -> replay.Replay:
    defaults: dict[str, Any] = {"apply": True, "confirm": STACK, "rate": 25, "sample": 10}
    quiet = {"show_bodies": False, "as_json": False, "interactive": False}
    return replay.Replay(site, replay.Options(**{**defaults, **quiet, **options}))


def written(site: MadeUp) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result and the record of the only run."""
    (directory,) = replay.REPLAYS.iterdir()
    lines = (directory / "events.jsonl").read_text().splitlines()
    return json.loads((directory / "result.json").read_text()), [json.loads(line) for line in lines]


# -- refusals -----------------------------------------------------------------------------------------------------
Change = Callable[[MadeUp, Sqs], None]


def answer(name: str, said: Any) -> Change:
    return lambda site, _: site.answers.update({name: said})


def service(running: int) -> dict[str, Any]:
    return {"services": [{"serviceName": "sync", "runningCount": running, "desiredCount": 2}]}


def set_(**values: Any) -> Change:
    return lambda _, sqs: sqs.__dict__.update(values)


REFUSALS: dict[str, tuple[Change, type[DrError], str]] = {
    "another account": (
        answer("sts.get_caller_identity", {"Account": "999999999999", "Arn": "arn:you"}),
        RefusedError,
        r"credentials: arn:you belongs to account 999999999999",
    ),
    "expired credentials": (
        answer("sts.get_caller_identity", denied("ExpiredToken", "GetCallerIdentity")),
        CredentialsError,
        "ExpiredToken",
    ),
    "credentials that expire in between": (
        answer("sqs.receive_message", denied("ExpiredToken", "ReceiveMessage")),
        CredentialsError,
        "ExpiredToken",
    ),
    "no queue": (answer("sqs.get_queue_url", NO_QUEUE), RefusedError, f"queues: There is no queue {QUEUE} in af-"),
    "silence": (
        answer("sqs.get_queue_url", EndpointConnectionError(endpoint_url="x")),
        RefusedError,
        "queues: af-south-1 did not answer",
    ),
    "failures that go elsewhere": (set_(redrive={}), RefusedError, f"failures of {QUEUE} do not go to {LETTERS}"),
    "a move to elsewhere": (
        set_(moves=[task("RUNNING", DestinationArn=arn("other"))]),
        RefusedError,
        f"queues: Somebody is moving the dead letters to {arn('other')}",
    ),
    "no task of sync": (answer("ecs.describe_services", service(0)), RefusedError, r"sync: .*no task runs: sync 0/2"),
    "no cluster": (
        answer("ecs.describe_services", denied("ClusterNotFoundException", "DescribeServices")),
        RefusedError,
        "sync: AWS refused DescribeServices",
    ),
    "more than can be looked at": (
        set_(dead=[GOOD] * 100_001),
        RefusedError,
        "dead letters: There are 100001: more than 100000",
    ),
    "a key that cannot be used": (
        answer("sqs.receive_message", denied("KMS.DisabledException", "ReceiveMessage")),
        RefusedError,
        "dead letters: AWS refused ReceiveMessage in af-south-1: KMS.DisabledException",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("applied", [True, False])
def test_what_forbids_a_replay_ends_it_before_anything_is_moved(
    site: MadeUp, sqs: Sqs, name: str, applied: bool
) -> None:
    change, kind, said = REFUSALS[name]
    sqs.dead = [GOOD]
    change(site, sqs)
    run = command(site, apply=applied)
    with pytest.raises(kind, match=said) as caught:
        run.apply() if applied else run.rehearse()
    assert type(caught.value) is kind
    assert "Nothing was changed" in caught.value.message
    assert sqs.started == []
    if applied:
        assert written(site)[0]["exit_code"] == kind.exit_code


def test_an_unknown_stack_is_refused(site: MadeUp) -> None:
    with pytest.raises(RefusedError, match="no stack uganda; stacks: south-africa, kenya"):
        choosing.choose(site.project, "uganda", {})


@pytest.mark.parametrize(
    ("standby", "said"),
    [
        ({"kenya": True, "south-africa": True}, "Deployed as serving: none"),
        ({"kenya": False, "south-africa": False}, "Deployed as serving: south-africa, kenya"),  # the same epoch
        ({"kenya": False, "south-africa": True}, None),
    ],
)
def test_without_a_name_it_is_the_stack_that_serves(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, standby: dict[str, bool], said: str | None
) -> None:
    def stack(_: Any, facts: Any, __: Any) -> Any:
        return type("Site", (), {"checkpoint": lambda _: state(standby=standby[facts.stack])})()

    monkeypatch.setattr(choosing, "Site", stack)
    if said is None:
        assert choosing.choose(site.project, None, {}).stack == "kenya"
        return
    with pytest.raises(RefusedError, match=said):
        choosing.choose(site.project, None, {})


def test_after_a_promotion_the_newer_takeover_is_meant(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpoint(stack: str) -> Any:
        document = state(standby=False)
        document["deployment"]["resources"][0]["outputs"]["epoch"] = 1 + (stack == "south-africa")
        return document

    def made(_: Any, facts: Any, __: Any) -> Any:
        return type("Site", (), {"checkpoint": lambda _: checkpoint(facts.stack)})()

    monkeypatch.setattr(choosing, "Site", made)
    assert choosing.choose(site.project, None, {}).stack == "south-africa"


@pytest.mark.parametrize("error", [NoCredentialsError(), denied("ExpiredToken", "GetObject")])
def test_without_credentials_the_state_is_not_blamed(
    site: MadeUp, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def checkpoint(_: Any) -> Any:
        raise error

    made = type("Site", (), {"checkpoint": checkpoint, "region": "af-south-1"})
    monkeypatch.setattr(choosing, "Site", lambda *_: made())
    with pytest.raises(CredentialsError):
        choosing.choose(site.project, None, {})


def test_a_state_that_cannot_be_read_asks_for_the_stack(site: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpoint(_: Any) -> Any:
        raise denied("AccessDenied", "GetObject")

    monkeypatch.setattr(choosing, "Site", lambda *_: type("Site", (), {"checkpoint": checkpoint, "region": "x"})())
    with pytest.raises(RefusedError, match="AccessDenied") as caught:
        choosing.choose(site.project, None, {})
    assert caught.value.hint == "Say which: -s STACK"


@pytest.mark.parametrize("typed", [None, "kenya", ""])
def test_without_the_name_nothing_is_moved(site: MadeUp, sqs: Sqs, typed: str | None) -> None:
    sqs.dead = [GOOD]
    with pytest.raises(NotConfirmedError):
        command(site, confirm=typed).apply()
    assert (sqs.started, written(site)[0]["exit_code"]) == ([], NotConfirmedError.exit_code)


# -- looking ------------------------------------------------------------------------------------------------------
def test_a_dry_run_shows_what_letters_are_and_not_what_they_say(
    site: MadeUp, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs.dead, sqs.held = [GOOD, KEYLESS, "about somebody"], 4
    command(site, apply=False, as_json=True).rehearse()
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert [entry["replayed"] for entry in told["sample"]] == ["yes", "it has no key", "it is no JSON"]
    assert (told["dead_letters"], told["held"], told["expected"]["minutes"]) == (3, 4, 25.0)
    assert "about somebody" not in shown.out + shown.err
    assert sqs.visibility == [("0", 0), ("1", 0), ("2", 0)], "shown again at once"
    assert not replay.REPLAYS.exists()
    command(site, apply=False, as_json=True, show_bodies=True).rehearse()
    assert [entry["body"] for entry in json.loads(capsys.readouterr().out)["sample"]] == sqs.dead


def test_nothing_is_looked_at_where_none_was_asked_for_or_a_move_runs(site: MadeUp, sqs: Sqs) -> None:
    site.answers.pop("sqs.receive_message")
    sqs.dead = [GOOD]
    command(site, apply=False, sample=0).rehearse()
    sqs.moves = [task("RUNNING", 4, MaxNumberOfMessagesPerSecond=2)]
    found = command(site, apply=False)
    found.rehearse()
    assert [f.text for f in found.before.found if f.subject == "dead letters"] == ["4 of 10 are moved"]


def test_where_nothing_waits_nothing_is_asked_or_done(
    site: MadeUp, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    command(site, confirm=None).apply()
    assert (sqs.started, written(site)[0]["ok"]) == ([], True)
    assert "There is nothing to replay" in capsys.readouterr().err


def test_fewer_tasks_than_wanted_and_hidden_letters_are_said(site: MadeUp, sqs: Sqs) -> None:
    site.answers["ecs.describe_services"] = service(1)
    sqs.hidden = [3]
    found = command(site, apply=False)
    found.rehearse()
    warned = {finding.subject: finding.text for finding in found.before.found if finding.warning}
    assert warned["sync"] == "fewer tasks than wanted: sync 1/2"
    assert warned["dead letters"].startswith("3 are hidden")


# -- doing it -----------------------------------------------------------------------------------------------------
def test_it_keeps_aside_what_has_no_key_moves_the_rest_and_writes_down_what_is_left(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [GOOD, KEYLESS, GOOD]
    sqs.moves = [None, task("RUNNING", 1), task(moved=2)]
    with pytest.raises(ChecksFailedError, match=r"1 dead letters could not be replayed \(1 × it has no key\)"):
        command(site, sample=0).apply()
    source = {"SourceArn": arn(LETTERS), "DestinationArn": arn(QUEUE), "MaxNumberOfMessagesPerSecond": 25}
    assert sqs.started == [source]
    assert sqs.visibility[:3] == [("1", 121), ("0", 0), ("2", 0)], "hidden for longer, the others shown"
    result, record = written(site)
    assert (result["moved"], result["not_replayed"]["reasons"], result["exit_code"]) == (2, {"it has no key": 1}, 10)
    assert json.loads(Path(result["not_replayed"]["file"]).read_text())["body"] == KEYLESS
    kinds = [line["kind"] for line in record]
    assert kinds[kinds.index("confirmed") :] == [
        *("confirmed", "sorted", "move started", "move ended", "sync", "left", "ended")
    ]
    assert "about somebody" not in json.dumps([result, record])


def test_where_only_letters_without_a_key_are_left_nothing_is_moved(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [KEYLESS]
    with pytest.raises(ChecksFailedError):
        command(site).apply()
    assert sqs.started == []


def test_held_messages_alone_are_waited_for(site: MadeUp, sqs: Sqs) -> None:
    sqs.held = 2
    attributes = sqs.attributes

    def working_off(**asked: Any) -> dict[str, Any]:
        found = attributes(**asked)
        sqs.held -= sqs.held > 0 and asked["QueueUrl"] == QUEUE and sqs.steps > 3
        return found

    site.answers["sqs.get_queue_attributes"] = working_off
    command(site).apply()
    assert (sqs.held, sqs.started, written(site)[0]["ok"]) == (0, [], True)


def test_a_move_that_runs_is_followed_and_no_second_one_begun(site: MadeUp, sqs: Sqs) -> None:
    sqs.moves = [task("RUNNING", 3), task("RUNNING", 5), task("COMPLETED", 10)]
    command(site).apply()
    result, record = written(site)
    assert (sqs.started, result["resumed"], result["moved"]) == ([], True, 10)
    assert [line["kind"] for line in record if line["kind"].startswith("move")] == ["move found", "move ended"]


def test_a_move_that_somebody_else_began_a_moment_ago_is_followed(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [GOOD]
    sqs.moves = [None, task("RUNNING", 0), task(moved=1)]

    def start(**_: Any) -> None:
        sqs.dead = []
        message = "There is already a task running. Only one active task is allowed for a source queue arn …"
        error = {"Code": "InvalidParameterValue", "Message": message}
        raise ClientError({"Error": error}, "StartMessageMoveTask")  # type: ignore[typeddict-item]

    site.answers["sqs.start_message_move_task"] = start
    command(site).apply()
    assert written(site)[0]["moved"] == 1


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (task("FAILED", 3, FailureReason="KMS.DisabledException"), r"FAILED after at least 3 of 10 .*KMS\.Disabled"),
        (task("CANCELLED", 3), "CANCELLED after at least 3 of 10"),
    ],
)
def test_a_move_that_does_not_complete_is_no_success(site: MadeUp, sqs: Sqs, ended: dict[str, Any], said: str) -> None:
    sqs.dead = [GOOD, KEYLESS]
    sqs.moves = [None, task("RUNNING", 1), ended]
    with pytest.raises(IncompleteError, match=said):
        command(site, sample=0).apply()
    assert sqs.visibility[-1] == ("1", 0), "what was kept aside is shown again"


def test_sync_that_does_not_get_on_is_no_success_and_what_is_left_is_written_down(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead, sqs.held = [KEYLESS], 7
    with pytest.raises(IncompleteError, match="sync does not get on"):
        command(site).apply()
    assert written(site)[0]["not_replayed"]["count"] == 1


def test_letters_that_somebody_else_holds_are_waited_for_and_then_told(site: MadeUp, sqs: Sqs) -> None:
    sqs.hidden = [2] * 40
    with pytest.raises(ChecksFailedError, match="2 more are held by somebody else"):
        command(site).apply()


def test_what_a_killed_run_kept_aside_is_waited_for_as_long_as_it_hid_it(site: MadeUp, sqs: Sqs) -> None:
    whole: dict[str, Any] = {"ApproximateNumberOfMessagesToMove": 6000, "MaxNumberOfMessagesPerSecond": 10}
    whole["StartedTimestamp"] = at(10)
    sqs.moves = [task("RUNNING", 3, **whole), task(moved=6000, **whole)]
    sqs.dead, sqs.hidden = [KEYLESS], [1] * 15  # minutes
    with pytest.raises(ChecksFailedError, match=r"1 dead letters could not be replayed \(1 × it has no key\)\.$"):
        command(site).apply()


def test_a_letter_that_is_handed_out_twice_is_written_down_once_and_shown_twice(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [KEYLESS, KEYLESS]
    receive = sqs.receive

    def same(**given: Any) -> dict[str, Any]:
        answer = receive(**given)
        return {**answer, "Messages": [{**message, "MessageId": "same"} for message in answer["Messages"]]}

    site.answers["sqs.receive_message"] = same
    with pytest.raises(ChecksFailedError, match="1 dead letters"):
        command(site, sample=0).apply()
    assert sqs.visibility[-2:] == [("0", 0), ("1", 0)]


def test_a_refusal_in_between_is_incomplete_and_shows_the_letters_again(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [GOOD, KEYLESS]
    site.answers["sqs.start_message_move_task"] = denied("AccessDenied", "StartMessageMoveTask")
    with pytest.raises(IncompleteError, match="AWS refused StartMessageMoveTask: AccessDenied"):
        command(site, sample=0).apply()
    assert sqs.visibility[-2:] == [("0", 0), ("1", 0)]
    assert written(site)[0]["exit_code"] == IncompleteError.exit_code


def test_ctrl_c_shows_the_letters_again_and_is_written_down(
    site: MadeUp, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs.dead = [GOOD, KEYLESS]

    def end(*_: Any) -> None:
        raise SystemExit(130)

    monkeypatch.setattr(Queues, "move", lambda *_: None if not sqs.started else end())
    with pytest.raises(SystemExit):
        command(site, sample=0).apply()
    assert sqs.visibility[-1] == ("1", 0)
    assert (written(site)[0]["error"], written(site)[0]["exit_code"]) == ("interrupted", 130)


def test_bodies_are_shown_where_asked_for_and_never_written_down(
    site: MadeUp, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs.dead, sqs.moves = [GOOD], [None, task()]
    command(site, show_bodies=True, as_json=True).apply()
    assert json.loads(capsys.readouterr().out)["sample"][0]["body"] == GOOD
    result, record = written(site)
    assert len(result["sample"]) == 1
    assert "about somebody" not in json.dumps([result, record])


def test_what_cannot_be_hidden_is_said_not_lost_sight_of(
    site: MadeUp, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs.dead, sqs.moves, sqs.refuses = [GOOD, KEYLESS, KEYLESS], [None, task()], {"1"}
    with pytest.raises(ChecksFailedError):
        command(site, sample=0).apply()
    assert "1 that cannot be replayed may be moved, too" in capsys.readouterr().err
    (found,) = [line for line in written(site)[1] if line["kind"] == "sorted"]
    assert (found["loose"], found["late"]) == (1, 0)


def test_counts_of_nothing_that_do_not_last_are_not_believed(site: MadeUp, sqs: Sqs) -> None:
    """The move of a run that was killed had just ended: SQS counts what it moved a little later."""
    attributes = sqs.attributes

    def late(**asked: Any) -> dict[str, Any]:
        if sqs.steps > 5:
            sqs.dead = [KEYLESS]
        return attributes(**asked)

    site.answers["sqs.get_queue_attributes"] = late
    with pytest.raises(ChecksFailedError, match="1 dead letters could not be replayed"):
        command(site).apply()


def test_an_earlier_move_that_is_still_listed_as_the_newest_is_not_taken_for_ours(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [GOOD, GOOD]
    earlier = task("CANCELLED", 7, StartedTimestamp=at(-1440))
    ours: dict[str, Any] = {"StartedTimestamp": at(1)}
    sqs.moves = [earlier, earlier, task("RUNNING", 0, **ours), task(moved=2, **ours)]
    command(site).apply()
    assert written(site)[0]["moved"] == 2


def test_a_move_that_is_never_listed_is_no_success(site: MadeUp, sqs: Sqs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LISTED_SECONDS", 0.0)
    sqs.dead, sqs.moves = [GOOD], [task(StartedTimestamp=at(-1440))]
    with pytest.raises(IncompleteError, match="does not list the move"):
        command(site).apply()


def test_the_time_that_is_left_is_of_what_sqs_counts_now() -> None:
    def move(minutes: float, moved: int, total: int) -> Move:
        return Move("RUNNING", moved, total, 10, None, BEGAN + timedelta(minutes=minutes), BEGAN)

    assert "not counted" in replay._progress(move(0, 0, 0), move(0.1, 0, 0), 10)
    assert replay._progress(move(0, 0, 0), move(10, 600, 1200), 10).endswith("about 10 min left")


def test_a_move_to_elsewhere_that_somebody_began_a_moment_ago_is_not_followed(site: MadeUp, sqs: Sqs) -> None:
    sqs.dead = [GOOD]
    sqs.moves = [None, task("RUNNING", 0, DestinationArn=arn("other")), task(moved=1, DestinationArn=arn("other"))]
    with pytest.raises(RefusedError, match=f"Somebody is moving the dead letters to {arn('other')}"):
        command(site).apply()


def test_what_a_killed_run_kept_aside_is_waited_for_after_its_move_has_ended(site: MadeUp, sqs: Sqs) -> None:
    whole: dict[str, Any] = {"ApproximateNumberOfMessagesToMove": 6000, "MaxNumberOfMessagesPerSecond": 10}
    sqs.moves = [task(moved=6000, **whole)]
    sqs.dead, sqs.hidden = [KEYLESS], [1] * 12  # minutes
    with pytest.raises(ChecksFailedError, match=r"1 dead letters could not be replayed \(1 × it has no key\)\.$"):
        command(site).apply()
