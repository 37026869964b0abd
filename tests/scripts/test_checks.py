"""Each promise holds on evidence of a good rehearsal, and is broken by the evidence that it is there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.rehearsal import checks
from scripts.rehearsal.calls import Accounting
from scripts.rehearsal.evidence import DataMoment, Evidence, ReadBack, ServiceState
from scripts.rehearsal.sources import Source
from scripts.rehearsal.writer import Look
from tests.scripts import made_up
from tests.scripts.made_up import COMMITTED, KENYA, RESTORED, SOUTH_AFRICA, at, evidence, sent


def verdicts(e: Evidence) -> dict[str, bool]:
    return {check.name: check.ok for check in checks.evaluate(e)}


def counted(**changed: Any) -> Accounting:
    return replace(made_up.accounting(), **changed)


def described(**changed: Any) -> dict[str, Any]:
    return {**made_up.instance(), **changed}


def read(numbers: list[int], written: int | None = COMMITTED + 1, by: str = SOUTH_AFRICA) -> ReadBack:
    return ReadBack(by, numbers, written)


def services(running_critical: int, running_standard: int) -> list[ServiceState]:
    return [ServiceState("api-gateway", True, 2, running_critical), ServiceState("sync", False, 1, running_standard)]


WHOLE = [*range(1, RESTORED + 1), COMMITTED + 1]
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("crisis-page-in-time", {"crisis_page": at(2.6)}),
    ("crisis-page-in-time", {"crisis_page": None}),
    ("crisis-page-phone-lines", {"page": "call 999 or 0800 567 567"}),
    ("crisis-page-phone-lines", {"page": ""}),
    ("help-until-service", {"looks": [*made_up.looks(), Look(at(10), "error", SOUTH_AFRICA, 502)]}),
    ("help-until-service", {"looks": [*made_up.looks(), Look(at(24.95), "unreachable", None, None)]}),
    ("help-until-service", {"crisis_page": None}),
    ("state-deleted", {"deleted_state": []}),
    ("state-deleted", {"stacks_left": ["kenya"]}),
    ("critical-within-rto", {"health_ok": None}),
    ("critical-within-rto", {"write_accepted": None}),
    ("critical-within-rto", {"write_accepted": at(240.5)}),
    ("takeover-after-healthy", {"takeover": None}),
    ("takeover-after-healthy", {"takeover": at(24.55)}),
    ("takeover-after-healthy", {"targets_healthy": {"crisis-detection": at(24.5)}}),
    ("takeover-after-healthy", {"targets_healthy": {}}),
    ("no-calls-to-lost-region", {"accounting": counted(lost_region=[made_up.call("kms", "Decrypt", KENYA)])}),
    ("no-calls-to-lost-region", {"accounting": None}),
    ("no-pull-after-restore", {"pull_after_restore": 1}),
    ("no-pull-after-restore", {"restore_began": None}),
    ("no-global-control-plane", {"accounting": counted(global_control_plane=[made_up.call("iam", "GetRole")])}),
    ("no-global-control-plane", {"accounting": None}),
    ("newest-copy-restored", {"restored_from": "rehearsal-decoy"}),
    ("newest-copy-restored", {"restored_from": "rds-snapshot-oldest"}),
    ("newest-copy-restored", {"restored_from": None}),
    ("newest-copy-restored", {"copies": []}),
    ("data-loss-within-rpo", {"rpo_limit": 2.0}),
    ("data-loss-within-rpo", {"restored_from": None}),
    # Data from after the loss: a copy that was still taken after the takeover.
    ("data-loss-within-rpo", {"modelled_loss": made_up.LOSS - 3 * 60}),
    ("rows-exact", {"read_back": None}),
    ("rows-exact", {"data_moment": None}),
    ("rows-exact", {"read_back": read([number for number in WHOLE if number != 17])}),
    ("rows-exact", {"read_back": read([number for number in WHOLE if number != RESTORED])}),
    ("rows-exact", {"read_back": read([*WHOLE, RESTORED + 1])}),
    ("rows-exact", {"read_back": read([*WHOLE, 3])}),
    ("rows-exact", {"read_back": read([COMMITTED + 1])}),
    ("write-accepted", {"read_back": None}),
    ("write-accepted", {"read_back": read(WHOLE, written=None)}),
    ("write-accepted", {"read_back": read(WHOLE, written=COMMITTED + 2)}),
    ("write-accepted", {"read_back": read(WHOLE, by=KENYA)}),
    ("database-not-at-defaults", {"instance": {}}),
    ("database-not-at-defaults", {"instance": described(VpcSecurityGroups=[{"VpcSecurityGroupId": "sg-default"}])}),
    ("database-not-at-defaults", {"instance": described(VpcSecurityGroups=[])}),
    (
        "database-not-at-defaults",
        {"instance": described(DBParameterGroups=[{"DBParameterGroupName": "default.postgres17"}])},
    ),
    ("database-not-at-defaults", {"instance": described(DBParameterGroups=[])}),
    ("database-not-at-defaults", {"instance": described(DBSubnetGroup={"DBSubnetGroupName": "default"})}),
    ("database-not-at-defaults", {"instance": described(StorageEncrypted=False)}),
    ("database-not-at-defaults", {"instance": described(MultiAZ=False)}),
    ("database-not-at-defaults", {"instance": described(PubliclyAccessible=True)}),
    ("database-not-at-defaults", {"instance": described(DeletionProtection=False)}),
    ("database-not-at-defaults", {"instance": described(BackupRetentionPeriod=1)}),
    ("database-not-at-defaults", {"instance": described(AutoMinorVersionUpgrade=True)}),
    ("recordings-replicated", {"recordings_missing": ["audio/00007.wav"]}),
    ("recordings-replicated", {"recordings_due": 0}),
    ("dns-stays", {"dns_after_return": [SOUTH_AFRICA, KENYA, SOUTH_AFRICA]}),
    ("dns-stays", {"dns_after_return": []}),
    ("dns-stays", {"writes_after_return": {SOUTH_AFRICA: 3, KENYA: 1}}),
    ("access-allowed", {"access_refused": ["role sqs:SendMessage on arn: because no identity-based policy allows"]}),
    ("access-allowed", {"access_refused": None}),
    ("access-used", {"access_unused": ["role Statement: sqs:SendMessage"]}),
    ("access-used", {"access_unused": None}),
    ("sandbox-healthy", {"sandbox_errors": ["timer snapshot: KeyError()"]}),
    ("promotion-succeeded", {"up_code": 255}),
    ("promotion-succeeded", {"up_code": None}),
    ("everything-runs", {"services": services(2, 0)}),
    ("everything-runs", {"services": services(1, 1)}),
    ("everything-runs", {"services": [ServiceState("sync", False, 0, 0)]}),
    ("everything-runs", {"services": []}),
    ("preview-empty", {"preview_code": 7, "preview_after": ["update aws:ecs/service:Service services-sync"]}),
    ("preview-empty", {"preview_code": 1}),
    ("preview-empty", {"preview_code": None}),
    ("drift-empty", {"drift_code": 7, "drift_after": ["update aws:rds/instance:Instance database-first"]}),
    ("drift-empty", {"drift_code": None}),
    ("later-copies-change-nothing", {"later": ["replace aws:rds/instance:Instance database-first"]}),
    ("later-copies-change-nothing", {"later": None}),
    ("promotion-reports-fault", {"fault": "standard-service", "up_code": 0}),
    ("promotion-reports-fault", {"fault": "standard-service", "up_code": None}),
    ("critical-services-run", {"fault": "side-resource", "services": services(1, 1)}),
    ("critical-services-run", {"fault": "side-resource", "services": [ServiceState("sync", False, 1, 1)]}),
]


def test_every_promise_holds_on_a_good_rehearsal() -> None:
    found = verdicts(evidence())
    assert found == dict.fromkeys(found, True)


def test_a_fault_asks_for_other_promises() -> None:
    found = verdicts(evidence(fault="standard-service", up_code=255, services=services(2, 0), all_running=None))
    assert found == dict.fromkeys(found, True)
    assert {"promotion-reports-fault", "critical-services-run"} < found.keys()
    assert not {"promotion-succeeded", "everything-runs", "preview-empty"} & found.keys()


@pytest.mark.parametrize(("name", "changed"), BROKEN, ids=[f"{name}-{next(iter(what))}" for name, what in BROKEN])
def test_a_promise_is_broken(name: str, changed: dict[str, Any]) -> None:
    assert not verdicts(evidence(**changed))[name]


def test_every_check_is_seen_broken() -> None:
    copies = checks.NEWEST_DATA[Source.COPIES]
    named = {name for name, _, _ in (*checks.EVERY, copies, *checks.WITHOUT_FAULT, *checks.WITH_FAULT)}
    assert {name for name, _ in BROKEN} == named


def test_names_are_unique_and_nothing_holds_without_evidence() -> None:
    nothing = Evidence(
        lost_region=KENYA,
        standby_region=SOUTH_AFRICA,
        fault=None,
        rpo_limit=60,
        rto_limit=240,
        crisis_limit=2.5,
        speed=12,
        phone_lines=["999"],
    )
    found = checks.evaluate(nothing)
    assert len({check.name for check in found}) == len(found)
    assert [check.name for check in found if check.ok] == ["sandbox-healthy"]


def test_a_row_within_the_snapshots_moment_may_be_there_or_not() -> None:
    """The base backup ends somewhere between the two moments: both outcomes are right, nothing beyond them is."""
    wide = DataMoment(sent(RESTORED) + 0.06, sent(RESTORED + 1) + 0.01)
    for last, right in ((RESTORED - 1, False), (RESTORED, True), (RESTORED + 1, True), (RESTORED + 2, False)):
        found = verdicts(evidence(data_moment=wide, read_back=read([*range(1, last + 1), COMMITTED + 1])))
        assert found["rows-exact"] is right, last
