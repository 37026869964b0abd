"""Faults that would break a promotion, put into a copy of the program: for each, a test that must notice it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = (
    "__main__.py",
    "components",
    "docs",
    "sandbox",
    "scripts",
    "tests",
    "Pulumi.yaml",
    "Pulumi.kenya.yaml",
    "Pulumi.south-africa.yaml",
)


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in `file`; `caught_by` is a test below tests."""

    name: str
    file: str
    old: str
    new: str
    caught_by: str


MUTANTS = (
    Mutant(
        "reads the outputs of the lost stack",
        "__main__.py",
        "if settings.reads_peer else None",
        "if True else None",
        "components/test_program.py::test_a_promotion_only_adds_and_updates",
    ),
    Mutant(
        "needs a secret of the lost region",
        "__main__.py",
        "registry_secret_arn=region_secrets.registry_arn",
        'registry_secret_arn=f"arn:aws:secretsmanager:{settings.peer.region}:1:secret:registry"',
        "components/test_program.py::test_a_stack_that_stands_alone_names_nothing_of_its_peer",
    ),
    Mutant(
        "asks the lost region's API",
        "components/facts.py",
        "return self._make(service, self._region)",
        "return self._make(service, self._settings.peer.region)",
        "components/test_facts.py::test_only_the_own_region_is_asked",
    ),
    Mutant(
        "tags a role with the flag",
        "__main__.py",
        "tags = naming.tags(settings.stack)",
        'tags = naming.Tags({**naming.tags(settings.stack), "Standby": str(settings.standby)})',
        "components/test_program.py::test_nothing_global_depends_on_the_flag",
    ),
    Mutant(
        "takes over before the services are healthy",
        "components/takeover.py",
        "[] if args.gate is None else [self._gate(args.gate)]",
        "[]",
        "components/test_takeover.py::test_everything_that_moves_people_waits_for_the_gate",
    ),
    Mutant(
        "locks the roles before the services stop",
        "__main__.py",
        "*(services.critical_resources if settings.frozen else taken_over),",
        "*taken_over,",
        "components/test_freeze.py::test_a_freeze_comes_in_its_order",
    ),
    Mutant(
        "stops the services before anybody sees the crisis page",
        "__main__.py",
        "                *page_shown,\n",
        "",
        "components/test_freeze.py::test_a_freeze_comes_in_its_order",
    ),
    Mutant(
        "lets health checks meet the crisis page while it freezes",
        "components/takeover.py",
        "self._crisis_rule([*gate, self._frozen_rule([])])",
        "self._crisis_rule(gate); self._frozen_rule([crisis])",
        "components/test_freeze.py::test_a_freeze_comes_in_its_order",
    ),
    Mutant(
        "unlocks the roles with a deployment while frozen",
        "components/logins.py",
        " and versions and not args.frozen:",
        " and versions:",
        "components/test_freeze.py::test_while_frozen_every_generation_is_fenced_and_no_role_is_set",
    ),
    Mutant(
        "takes the copy that was made last for the newest",
        "components/facts.py",
        'original = snapshot.get("OriginalSnapshotCreateTime")',
        'original = snapshot.get("SnapshotCreateTime")',
        "components/test_facts.py::test_a_copy_is_read_with_the_time_of_its_data",
    ),
    Mutant(
        "restores into AWS's default security group",
        "components/database.py",
        "            vpc_security_group_ids=[args.security_group_id],\n",
        "",
        "components/test_database.py::test_the_restored_one_is_as_closed_as_the_lost_one",
    ),
    Mutant(
        "replaces the database when a newer copy appears",
        "components/database.py",
        'ignore_changes=["snapshotIdentifier", "restoreToPointInTime"],',
        "",
        "components/test_database.py::test_a_later_deployment_ignores_where_the_data_came_from_and_nothing_else",
    ),
    Mutant(
        "never promotes the replica",
        "components/database.py",
        'ignore_changes=["snapshotIdentifier", "restoreToPointInTime"],',
        'ignore_changes=["snapshotIdentifier", "restoreToPointInTime", "replicateSourceDb"],',
        "components/test_standby_sources.py::test_the_flip_promotes_the_replica_in_place",
    ),
    Mutant(
        "makes a new instance of the replica's data",
        "components/database_plans.py",
        "snapshot=existing.restored_from if is_snapshot(existing.restored_from) else None,",
        "snapshot=existing.restored_from,",
        "components/test_standby_sources.py::test_a_promoted_replica_stays_what_it_is",
    ),
    Mutant(
        "ends the replication of backups in a promotion",
        "__main__.py",
        'if settings.database.standby_source == "replicated-backups":',
        'if settings.database.standby_source == "replicated-backups" and settings.standby:',
        "components/test_standby_sources.py::test_backups_are_replicated_with_this_regions_key_and_survive_a_promotion",
    ),
    Mutant(
        "restores what the old primary wrote after the takeover",
        "components/origins.py",
        "if facts.taken_over_at is None or at <= facts.taken_over_at:",
        "if True:",
        "components/test_standby_sources.py::test_no_copy_taken_after_the_takeover_is_used",
    ),
    Mutant(
        "asks for a time that RDS cannot restore",
        "components/origins.py",
        "elif entry.earliest <= at <= entry.latest:",
        "elif entry.earliest <= at:",
        "components/test_moments.py::test_a_time_out_of_range_is_refused_with_the_window",
    ),
    Mutant(
        "logs what patients said",
        "components/database_logging.py",
        'Parameter("log_parameter_max_length", "0")',
        'Parameter("log_parameter_max_length", "-1")',
        "components/test_database.py::test_logs_hold_nothing_of_what_people_said",
    ),
    Mutant(
        "lets RDS make the log groups, unencrypted and for ever",
        "components/database.py",
        "depends_on=[*args.after, *self._logging.ready],",
        "depends_on=[*args.after],",
        "components/test_database.py::test_log_groups_are_there_before_the_database_with_a_key_and_an_end",
    ),
    Mutant(
        "restores while copies are still being made",
        "__main__.py",
        "after=snapshots.stopped if snapshots else []",
        "after=[]",
        "components/test_program.py::test_a_promotion_comes_in_its_order",
    ),
    Mutant(
        "makes standard services' logins before the takeover",
        "__main__.py",
        "logins(settings.standard_logins, after=taken_over)",
        "logins(settings.standard_logins, after=[])",
        "components/test_program.py::test_a_promotion_comes_in_its_order",
    ),
    Mutant(
        "reads the state of the lost stack",
        "__main__.py",
        "stack_outputs.read_own(settings.project, settings.stack)",
        "stack_outputs.read_own(settings.project, settings.peer.stack)",
        "components/test_program.py::test_a_promotion_only_adds_and_updates",
    ),
    Mutant(
        "asks for the key of the lost stack",
        "components/facts.py",
        "naming.data_key_alias(self._settings.short_name)",
        "naming.data_key_alias(self._settings.peer.short_name)",
        "components/test_facts.py::test_only_the_own_region_is_asked",
    ),
    Mutant(
        "encrypts with a key of the lost region",
        "__main__.py",
        "            key_arn=key.arn,\n            master_password=",
        '            key_arn=f"arn:aws:kms:{settings.peer.region}:1:key/1",\n            master_password=',
        "components/test_program.py::test_a_stack_that_stands_alone_names_nothing_of_its_peer",
    ),
    Mutant(
        "lets services find each other by DNS",
        "components/services.py",
        "aws.servicediscovery.HttpNamespace(\n            name,\n",
        'aws.servicediscovery.PrivateDnsNamespace(\n            name,\n            vpc="vpc-1",\n',
        "components/test_program.py::test_services_find_each_other_without_dns",
    ),
    Mutant(
        "configures a second provider for another region",
        "components/keys.py",
        "        key = aws.kms.Key(\n",
        '        aws.Provider(f"{name}-elsewhere", region="us-east-1")\n        key = aws.kms.Key(\n',
        "components/test_program.py::test_the_stacks_region_has_the_only_provider",
    ),
    Mutant(
        "reads every resource again on resume",
        "scripts/promotion/recovery.py",
        'cli.run("refresh", "--stack", self._stack, *targets, "--yes", "--skip-preview")',
        'cli.run("refresh", "--stack", self._stack, "--yes", "--skip-preview")',
        "scripts/test_promotion_state.py::test_the_instance_is_adopted_and_only_it_is_read_again",
    ),
    Mutant(
        "removes the lock of another machine",
        "scripts/promotion/locks.py",
        "here = lock.host == socket.gethostname() and lock.user == getpass.getuser() and lock.pid > 0",
        "here = lock.pid > 0",
        "scripts/test_promotion_state.py::test_somebody_elses_lock_stops_it_before_anything",
    ),
    Mutant(
        "goes on although the plan takes something away",
        "scripts/stack_change.py",
        "        plan.refuse_losses(self.plan, self.stack, self.noun)\n",
        "",
        "scripts/test_promote_plan.py::test_a_plan_that_takes_something_away_is_refused_with_the_way_out",
    ),
    Mutant(
        "puts an output of the promotion into task definitions",
        "__main__.py",
        "audio_bucket_name=storage.audio_bucket_name,",
        "audio_bucket_name=database.serving.identifier if database.serving else storage.audio_bucket_name,",
        "components/test_program.py::test_what_a_promotion_updates",
    ),
    Mutant(
        "ignores the desired count blindly",
        "components/services.py",
        'ignore_changes=["desiredCount"] if count.autoscaled else None,',
        'ignore_changes=["desiredCount"],',
        "components/test_autoscaling.py::test_a_count_out_of_bounds_is_set",
    ),
    Mutant(
        "resets what autoscaling chose",
        "components/live_counts.py",
        "wanted = live if served and live else max(live, begin or spec.desired_count)",
        "wanted = spec.desired_count",
        "components/test_autoscaling.py::test_a_deployment_at_peak_load_passes_and_keeps_the_live_count",
    ),
    Mutant(
        "leaves the promoted replica in one zone",
        "components/database.py",
        '"multi_az": True,',
        '"multi_az": plan.data_from is None,',
        "components/test_standby_sources.py::test_the_flip_promotes_the_replica_in_place",
    ),
    Mutant(
        "watches a load balancer that does not exist",
        "components/watches.py",
        '"AWS/ApplicationELB HealthyHostCount", "Maximum", TargetGroup=group, LoadBalancer=balancer',
        '"AWS/ApplicationELB HealthyHostCount", "Maximum", TargetGroup=group, LoadBalancer="app/alb"',
        "components/test_monitoring.py::test_every_alarm_watches_something_that_exists",
    ),
    Mutant(
        "alarms once the plan is broken",
        "components/watches_recovery.py",
        "ALARMING_SHARE: Final = 0.75",
        "ALARMING_SHARE: Final = 1.0",
        "components/test_monitoring.py::test_the_age_of_what_would_be_restored_alarms_before_the_planned_loss",
    ),
    Mutant(
        "passes over the copies that people made",
        "components/origins.py",
        "copy.made_by not in naming.SNAPSHOT_MAKERS",
        "copy.made_by != naming.SNAPSHOT_CYCLE",
        "components/test_guards.py::test_a_copy_made_by_hand_is_as_good_as_the_cycles_and_the_newest_data_win",
    ),
    Mutant(
        "copies what people took under the cycle's tag",
        "components/functions/snapshot_cycle/decisions.py",
        "[snapshot for snapshot in source if snapshot.ours or snapshot.automated]",
        "list(source)",
        "components/test_snapshot_decisions.py::"
        "test_what_others_took_is_not_copied_under_our_tag_but_a_copy_of_it_is_known",
    ),
    Mutant(
        "lets a copy of unusable data be restored",
        "scripts/snapshots/decisions.py",
        "kept = (naming.SOURCE_TAG, naming.UNUSABLE_TAG)",
        "kept = (naming.SOURCE_TAG,)",
        "scripts/test_snapshot_decisions.py::test_what_is_unusable_there_is_unusable_here",
    ),
    Mutant(
        "gives up the last good snapshot",
        "scripts/snapshots/decisions.py",
        "            and entry is not newest\n",
        "",
        "scripts/test_snapshot_decisions.py::test_the_newest_good_one_is_kept_whoever_made_it",
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program and its tests, apart from the checkout."""
    target = tmp_path_factory.mktemp("mutants")
    for name in (*PROGRAM, "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


def outcome(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/{t}" for t in tests),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_the_program_itself_passes(copy: Path) -> None:
    done = outcome(copy, *sorted({mutant.caught_by for mutant in MUTANTS}))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_is_caught(copy: Path, mutant: Mutant) -> None:
    file = copy / mutant.file
    original = file.read_text()
    assert original.count(mutant.old) == 1, f"{mutant.file} has changed: adapt the mutant"
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        done = outcome(copy, mutant.caught_by)
    finally:
        file.write_text(original)
    # 1: tests ran and failed. Anything else is a mutant that does not even start, which proves nothing.
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-1000:]
    assert "SyntaxError" not in done.stdout
