"""The promises of a region loss, each as one check on the evidence. Pure functions: no access, no printing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from scripts.rehearsal.calls import Call
from scripts.rehearsal.evidence import Check, Evidence
from scripts.rehearsal.rows import rows_exact
from scripts.rehearsal.sources import PROMISES, Source

Judge = Callable[[Evidence], tuple[bool, str]]
SHOWN = 5  # how many examples a message quotes


def evaluate(evidence: Evidence) -> list[Check]:
    """All checks that apply; a rehearsal with a fault expects a failing deployment and a complete takeover."""
    return [Check(name, title, *judge(evidence)) for name, title, judge in _applicable(evidence)]


def _applicable(evidence: Evidence) -> Iterable[tuple[str, str, Judge]]:
    yield from EVERY
    yield NEWEST_DATA[evidence.source]
    yield from WITH_FAULT if evidence.fault else WITHOUT_FAULT


# -- before the promotion -----------------------------------------------------------------------------------------
def crisis_page(e: Evidence) -> tuple[bool, str]:
    after = e.minutes(e.crisis_page)
    if after is None:
        return False, "The crisis page never appeared under the public name."
    return (
        after <= e.crisis_limit,
        f"{after:.2f} modelled minutes after the loss; at most {e.crisis_limit:g} are promised.",
    )


def phone_lines(e: Evidence) -> tuple[bool, str]:
    missing = [number for number in e.phone_lines if number not in e.page]
    return bool(e.page) and not missing, (
        f"missing on the page: {', '.join(missing)}" if missing else f"{len(e.phone_lines)} phone lines on the page"
    )


def help_until_service(e: Evidence) -> tuple[bool, str]:
    """Between the crisis page and the service nobody may meet an error."""
    if e.crisis_page is None or e.critical is None:
        return False, "There was no crisis page, or no service after it."
    between = [look for look in e.looks if e.crisis_page <= look.t <= e.promotion_end]
    bad = [look for look in between if look.state not in ("crisis-page", "ok")]
    shown = "; ".join(f"{look.state} ({look.status}) after {e.minutes(look.t):.2f} min" for look in bad[:SHOWN])
    return not bad, shown or f"{len(between)} looks: each met the crisis page or the service"


def state_deleted(e: Evidence) -> tuple[bool, str]:
    gone = bool(e.deleted_state) and not any(e.stacks_left)
    return (
        gone,
        f"{len(e.deleted_state)} object versions deleted; stack of the lost region left: {e.stacks_left or 'none'}",
    )


# -- the promotion ------------------------------------------------------------------------------------------------
def promotion_succeeded(e: Evidence) -> tuple[bool, str]:
    return e.up_code == 0, f"`pulumi up` ended with code {e.up_code}" + ("" if e.up_code == 0 else f": {e.up_tail}")


def promotion_reports_fault(e: Evidence) -> tuple[bool, str]:
    return e.up_code not in (0, None), f"`pulumi up` ended with code {e.up_code}: a partial success is a failure"


def critical_answer(e: Evidence) -> tuple[bool, str]:
    after = e.minutes(e.critical)
    if after is None:
        return False, f"answers: {e.health_ok is not None}, write accepted: {e.write_accepted is not None}"
    return after <= e.rto_limit, f"{after:.1f} modelled minutes after the loss; the plan allows {e.rto_limit:g}"


def takeover_after_healthy(e: Evidence) -> tuple[bool, str]:
    if e.takeover is None:
        return False, "The takeover was never said."
    late = [name for name, moment in e.targets_healthy.items() if moment > e.takeover]
    unhealthy = [service.name for service in e.services if service.critical and service.name not in e.targets_healthy]
    shown = ", ".join(f"{name} healthy {e.minutes(t):.2f}" for name, t in sorted(e.targets_healthy.items()))
    evidence = f"{shown}; takeover {e.minutes(e.takeover):.2f} min after the loss"
    return bool(e.targets_healthy) and not late and not unhealthy, evidence


def no_calls_to_lost_region(e: Evidence) -> tuple[bool, str]:
    if e.accounting is None:
        return False, "Calls were not counted."
    calls = e.accounting.lost_region
    evidence = f"0 of {e.accounting.total} calls during the promotion were the deployment's and went to {e.lost_region}"
    if pulled := len(e.accounting.lost_region_by_pull):
        evidence += f"; {pulled} by the pull function, before its schedule was off"
    return not calls, _quoted(calls) or evidence


def no_global_control_plane(e: Evidence) -> tuple[bool, str]:
    if e.accounting is None:
        return False, "Calls were not counted."
    calls = e.accounting.global_control_plane
    evidence = f"0 of {e.accounting.total} calls during the promotion; {e.source}: {PROMISES[e.source].dependence}"
    return not calls, _quoted(calls) or evidence


def no_pull_after_restore(e: Evidence) -> tuple[bool, str]:
    if e.restore_began is None:
        return False, "The restore never began."
    pulled = len(e.accounting.lost_region_by_pull) if e.accounting else 0
    evidence = (
        f"calls to {e.lost_region} by the pull function: {pulled} during the promotion, "
        f"{e.pull_after_restore} in runs that began after the restore had"
    )
    return e.pull_after_restore == 0, evidence


# -- the data -----------------------------------------------------------------------------------------------------
def newest_copy(e: Evidence) -> tuple[bool, str]:
    if not e.copies:
        return False, "There was no available copy."
    newest = max(e.copies, key=lambda copy: copy.taken)
    misleading = max(e.copies, key=lambda copy: copy.listed)
    evidence = f"restored {e.restored_from} of {len(e.copies)} copies; newest data: {newest.identifier}"
    if misleading.identifier != newest.identifier:
        evidence += f"; newest by SnapshotCreateTime would have been {misleading.identifier}"
    return e.copy is not None and e.copy.taken == newest.taken, evidence


def backups_restored(e: Evidence) -> tuple[bool, str]:
    """Any copy would be older than what RDS replicated."""
    return ":auto-backup:" in (e.restored_from or ""), f"restored from {e.restored_from}"


def promoted_in_place(e: Evidence) -> tuple[bool, str]:
    """The same instance, which follows nobody any more."""
    now = str(e.instance.get("DbiResourceId", ""))
    follows = e.instance.get("ReadReplicaSourceDBInstanceIdentifier")
    evidence = f"instance {now or 'none'}, in peace time {e.standby_instance or 'none'}; follows {follows or 'nobody'}"
    return bool(now) and now == e.standby_instance and not follows, evidence


def rpo(e: Evidence) -> tuple[bool, str]:
    minutes = e.rpo_minutes
    if minutes is None:
        return False, f"The restored copy is not known ({e.restored_from})."
    evidence = f"{minutes:.1f} modelled minutes of data lost; with {e.source} {e.rpo_limit:g} are allowed"
    return 0 <= minutes <= e.rpo_limit, evidence


def write_accepted(e: Evidence) -> tuple[bool, str]:
    found = e.read_back
    if found is None or found.written is None:
        return False, "No row was accepted through the public name."
    right = found.answered_by == e.standby_region and found.written in found.numbers
    return right, f"row {found.written} written and read back through {found.answered_by}"


def instance_not_at_defaults(e: Evidence) -> tuple[bool, str]:
    """A restore takes AWS's defaults for whatever it isn't told."""
    wrong = instance_faults(e)
    return bool(e.instance) and not wrong, "; ".join(
        wrong
    ) or "own security, subnet and parameter group, key, Multi-AZ, kept"


def instance_faults(e: Evidence) -> list[str]:
    found = e.instance
    if not found:
        return ["there is no instance"]
    groups = [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])]
    parameters = [group["DBParameterGroupName"] for group in found.get("DBParameterGroups", [])]
    subnet_group = found.get("DBSubnetGroup", {}).get("DBSubnetGroupName", "default")
    facts = {
        f"security groups {groups}, expected only {e.database_group}": groups != [e.database_group],
        f"parameter groups {parameters}": any(name.startswith("default.") for name in parameters) or not parameters,
        f"subnet group {subnet_group}": subnet_group == "default",
        "not encrypted": not found.get("StorageEncrypted"),
        "not Multi-AZ": not found.get("MultiAZ"),
        "publicly accessible": bool(found.get("PubliclyAccessible")),
        "no deletion protection": not found.get("DeletionProtection"),
        f"backups kept {found.get('BackupRetentionPeriod')} days": found.get("BackupRetentionPeriod") != 7,
        "minor versions upgraded automatically": bool(found.get("AutoMinorVersionUpgrade")),
    }
    return [text for text, wrong in facts.items() if wrong]


def recordings(e: Evidence) -> tuple[bool, str]:
    missing = e.recordings_missing
    evidence = (
        f"{e.recordings_due - len(missing)} of {e.recordings_due} recordings that were due are in the standby bucket"
    )
    return e.recordings_due > 0 and not missing, evidence + (f"; missing {missing[:SHOWN]}" if missing else "")


# -- afterwards ---------------------------------------------------------------------------------------------------
def everything_runs(e: Evidence) -> tuple[bool, str]:
    short = [f"{s.name} {s.running}/{s.desired}" for s in e.services if s.desired < 1 or s.running < s.desired]
    evidence = ", ".join(f"{s.name} {s.running}/{s.desired}" for s in e.services)
    return bool(e.services) and not short, evidence or "no service"


def critical_run(e: Evidence) -> tuple[bool, str]:
    critical = [service for service in e.services if service.critical]
    evidence = ", ".join(f"{s.name} {s.running}/{s.desired}" for s in e.services)
    return bool(critical) and all(s.running >= s.desired > 0 for s in critical), evidence


def preview_empty(e: Evidence) -> tuple[bool, str]:
    if e.preview_after is None:
        return False, "Not looked at."
    clean = e.preview_code == 0 and not e.preview_after
    return clean, "; ".join(
        e.preview_after[:SHOWN]
    ) or f"`pulumi preview --expect-no-changes` ended with {e.preview_code}"


def drift_empty(e: Evidence) -> tuple[bool, str]:
    if e.drift_after is None:
        return False, "Not looked at."
    clean = e.drift_code == 0 and not e.drift_after
    return clean, "; ".join(e.drift_after[:SHOWN]) or f"`pulumi refresh --preview-only` ended with {e.drift_code}"


def dns_stays(e: Evidence) -> tuple[bool, str]:
    strayed = sorted({region for region in e.dns_after_return if region != e.standby_region})
    rows = {region: count for region, count in e.writes_after_return.items() if region != e.standby_region}
    evidence = f"{len(e.dns_after_return)} answers after {e.lost_region} came back, all {e.standby_region}"
    if strayed or rows:
        evidence = f"DNS answered {', '.join(strayed) or e.standby_region}; rows accepted elsewhere: {rows or 'none'}"
    return bool(e.dns_after_return) and not strayed and not rows, evidence


def later_copies(e: Evidence) -> tuple[bool, str]:
    if e.later is None:
        return False, "Not tried."
    return not e.later, "; ".join(
        e.later[:SHOWN]
    ) or "a newer copy appeared, the used one was deleted: `pulumi up` changed nothing and rows are accepted"


def sandbox_healthy(e: Evidence) -> tuple[bool, str]:
    return not e.sandbox_errors, "; ".join(e.sandbox_errors[:SHOWN]) or "the emulated cloud reports no error of its own"


def access_allowed(e: Evidence) -> tuple[bool, str]:
    """Least privilege must not be less than what is needed."""
    if e.access_refused is None:
        return False, "Not looked at."
    return not e.access_refused, "; ".join(e.access_refused[:SHOWN]) or "no role was refused anything it asked for"


def access_used(e: Evidence) -> tuple[bool, str]:
    """… nor more: every action and resource of every statement was needed, or access.UNSEEN says why it was not."""
    if e.access_unused is None:
        return False, "Not looked at."
    shown = f"{len(e.access_unused)} never needed: {'; '.join(e.access_unused[:SHOWN])}" if e.access_unused else ""
    return not e.access_unused, shown or "every grant was used, or cannot be in a rehearsal"


EVERY: tuple[tuple[str, str, Judge], ...] = (
    ("crisis-page-in-time", "The crisis page comes by itself", crisis_page),
    ("crisis-page-phone-lines", "The crisis page names every phone line", phone_lines),
    ("help-until-service", "Nobody meets an error between crisis page and service", help_until_service),
    ("state-deleted", "The lost stack's state was gone", state_deleted),
    ("critical-within-rto", "Critical services answer within the RTO", critical_answer),
    ("takeover-after-healthy", "Takeover only after healthy targets", takeover_after_healthy),
    ("no-calls-to-lost-region", "Nothing called the lost region", no_calls_to_lost_region),
    ("no-pull-after-restore", "No pull began after the restore", no_pull_after_restore),
    ("no-global-control-plane", "No global control plane was needed", no_global_control_plane),
    ("data-loss-within-rpo", "Lost data is within the RPO", rpo),
    ("rows-exact", "Exactly the rows of the snapshot's moment are there", rows_exact),
    ("write-accepted", "The promoted platform accepts and returns a write", write_accepted),
    ("database-not-at-defaults", "The restored database has our settings", instance_not_at_defaults),
    ("recordings-replicated", "Recordings are in the standby bucket", recordings),
    ("dns-stays", "The returning region does not pull people back", dns_stays),
    ("access-allowed", "No role lacked a permission", access_allowed),
    ("sandbox-healthy", "The emulation itself worked", sandbox_healthy),
)
NEWEST_DATA: dict[Source, tuple[str, str, Judge]] = {
    Source.COPIES: ("newest-copy-restored", "The newest copy was restored", newest_copy),
    Source.BACKUPS: ("backups-restored", "The replicated backups were restored", backups_restored),
    Source.REPLICA: ("promoted-in-place", "The replica was promoted in place", promoted_in_place),
}
WITHOUT_FAULT: tuple[tuple[str, str, Judge], ...] = (
    ("promotion-succeeded", "`pulumi up` succeeded", promotion_succeeded),
    ("everything-runs", "All services run", everything_runs),
    ("preview-empty", "Nothing is left to deploy", preview_empty),
    ("drift-empty", "What runs is what the state says", drift_empty),
    ("access-used", "No role has a permission too many", access_used),
    ("later-copies-change-nothing", "Copies that come and go change nothing", later_copies),
)
WITH_FAULT: tuple[tuple[str, str, Judge], ...] = (
    ("promotion-reports-fault", "`pulumi up` reports the failure", promotion_reports_fault),
    ("critical-services-run", "Critical services run in spite of the fault", critical_run),
)


def _quoted(calls: list[Call]) -> str:
    if not calls:
        return ""
    names = sorted({call.name for call in calls})
    return f"{len(calls)} calls: {', '.join(names[:SHOWN])}"
