"""The registry of this package against the list of components that a leader starts."""

from swarmsim.machine import Machine
from swarmsim.manager.component import START_ORDER, STOP_ORDER, WATCHES
from swarmsim.manager.orchestrator import ORCHESTRATORS
from swarmsim.store import MemoryStore


def test_each_orchestrator_is_started_and_told_of_commits():
    """Only the jobs orchestrator is not stopped with the others (quirk 25)."""
    store = MemoryStore()

    assert set(ORCHESTRATORS) <= set(START_ORDER)
    assert set(ORCHESTRATORS) <= set(WATCHES)
    assert set(ORCHESTRATORS) - set(STOP_ORDER) == {"jobs_orchestrator"}
    assert all(isinstance(make("m1", store), Machine) for make in ORCHESTRATORS.values())
