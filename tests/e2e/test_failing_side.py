"""The disaster with something else failing that nothing critical needs. Minutes each."""

import pytest

from scripts.rehearsal.faults import Fault
from tests.e2e.commands import REHEARSAL_SECONDS, rehearsed, result

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(REHEARSAL_SECONDS + 60)
@pytest.mark.parametrize("fault", list(Fault))
def test_a_failure_that_nothing_critical_needs_stops_nothing(fault: Fault) -> None:
    found = result(rehearsed("--seed", "11", "--fault", fault.value))
    assert (found["ok"], found["fault"]) == (True, fault.value)
    held = {check["name"] for check in found["checks"] if check["ok"]}
    assert held >= {"promotion-reports-fault", "critical-services-run", "write-accepted", "takeover-after-healthy"}
