"""The whole disaster on the real engine. Minutes."""

import pytest

from tests.e2e.commands import KENYA, REHEARSAL_SECONDS, SOUTH_AFRICA, rehearsed, result
from tests.scripts.test_results import REQUIRED

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(REHEARSAL_SECONDS + 60)
def test_a_lost_region_is_survived() -> None:
    folder = rehearsed("--seed", "7")
    found = result(folder)
    assert found.keys() >= REQUIRED
    assert (found["scenario"], found["ok"], found["seed"]) == ("region-loss", True, 7)
    assert found["lost_region"] == KENYA
    assert found["calls_to_lost_region_during_promotion"] == 0
    assert found["global_control_plane_calls_during_promotion"] == 0
    assert 0 < found["rto_minutes"]["crisis_page"] <= 2.5
    assert found["rto_minutes"]["crisis_page"] < found["rto_minutes"]["critical"] <= 240
    assert found["rto_minutes"]["critical"] <= found["rto_minutes"]["all"]
    assert 0 <= found["rpo_minutes"] <= 60
    assert 0 < found["rows"]["present_after"] <= found["rows"]["committed_before"]
    assert [
        found["dns"][moment]["region"] for moment in ("before", "after_loss", "after_promotion", "after_return")
    ] == [
        KENYA,
        SOUTH_AFRICA,
        SOUTH_AFRICA,
        SOUTH_AFRICA,
    ]
    assert (found["preview_after"], found["drift_after"]) == ([], [])
    assert [check["name"] for check in found["checks"] if not check["ok"]] == []
    assert (folder / "report.html").stat().st_size > 10_000
    assert (folder / "events.jsonl").exists()
