"""Names are the plan's, and none that AWS would refuse comes through."""

import pytest

from components import naming


@pytest.mark.parametrize("kind", [kind for kind in naming.LIMITS if kind not in ("key-alias", "parameter")])
def test_each_kind_has_a_longest_name(kind: str) -> None:
    limit = naming.LIMITS[kind]
    assert naming.checked("a" * limit.longest, kind)
    with pytest.raises(ValueError, match=f"no valid {kind} name: {limit.shortest} to {limit.longest} characters"):
        naming.checked("a" * (limit.longest + 1), kind)
    with pytest.raises(ValueError, match="no valid"):
        naming.checked("a" * (limit.shortest - 1), kind)


@pytest.mark.parametrize(
    ("kind", "longest"),
    [
        ("target-group", 32),
        ("load-balancer", 32),
        ("bucket", 63),
        ("database", 63),
        ("role", 64),
        ("function", 64),
        ("schedule", 64),
        ("database-snapshot", 255),
        ("secret", 512),
        ("database-role", 63),
    ],
)
def test_limits_are_those_of_the_api_references(kind: str, longest: int) -> None:
    assert naming.LIMITS[kind].longest == longest


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Upper", "database"),
        ("double--hyphen", "database"),
        ("ends-", "target-group"),
        ("1starts-with-digit", "database"),
        ("with.dot", "bucket"),
        ("with_underscore", "bucket"),
        ("alias/aws/rds", "key-alias"),
        ("data", "key-alias"),
        ("no-slash", "parameter"),
        ("with space", "secret"),
        ("with-hyphen", "database-role"),
        ("trailing\n", "role"),
    ],
)
def test_what_aws_refuses_is_refused(name: str, kind: str) -> None:
    with pytest.raises(ValueError, match="no valid"):
        naming.checked(name, kind)


def test_the_plans_names() -> None:
    assert naming.physical("kenya", "rds") == "mental-health-platform-kenya-rds"
    assert naming.physical("sa", "audio-storage") == "mental-health-platform-sa-audio-storage"
    assert naming.target_group("sa", "crisis-detection") == "mhp-sa-crisis-detection"
    assert naming.data_key_alias("sa") == "alias/mental-health-platform-sa-data"
    assert naming.secret("sa", "database/master") == "mental-health-platform/sa/database/master"
    assert naming.database_role("crisis-detection") == "crisis_detection"


def test_generations() -> None:
    assert naming.database("sa", "first", True) == "mental-health-platform-sa-rds"
    assert naming.database("sa", "restored", False) == "mental-health-platform-sa-rds-restored"
    assert naming.database("sa", "first", True, "mental-health-platform-other") == "mental-health-platform-other"
    with pytest.raises(ValueError, match="no valid database name"):
        naming.database("sa", "x" * 40, False)
    assert naming.final_snapshot("mental-health-platform-sa-rds") == "mental-health-platform-sa-rds-final"


@pytest.mark.parametrize("short", ["kenya", "sa"])
def test_target_group_says_what_is_too_long(short: str) -> None:
    longest = 32 - len(f"mhp-{short}-")
    assert naming.target_group(short, "x" * longest)
    with pytest.raises(ValueError, match=r"\(33 characters\) is no valid target-group name"):
        naming.target_group(short, "x" * (longest + 1))


def test_tags_name_platform_stack_and_tool() -> None:
    assert naming.tags("kenya") == {
        "Platform": "mental-health-platform",
        "Stack": "kenya",
        "ManagedBy": "pulumi",
    }
