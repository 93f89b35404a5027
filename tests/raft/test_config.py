"""Options and their limits (etcd raft.go `Config`)."""

import pytest

from swarmsim.raft import Config, ReadOnly
from swarmsim.raft.config import swarmkit
from swarmsim.raft.messages import NO_LIMIT
from tests.raft.network import Dice


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"id": 0}, "id must be positive"),
        ({"id": -1}, "id must be positive"),
        ({"heartbeat_tick": 0}, "heartbeat_tick must be at least 1"),
        ({"election_tick": 1}, "election_tick must exceed heartbeat_tick"),
        ({"heartbeat_tick": 10}, "election_tick must exceed heartbeat_tick"),
        ({"max_inflight_msgs": 0}, "max_inflight_msgs must be at least 1"),
        ({"max_inflight_bytes": 9, "max_size_per_msg": 10}, "max_inflight_bytes must be 0 or at least"),
        ({"read_only": ReadOnly.LEASE_BASED}, "lease-based reads need check_quorum"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], complaint: str) -> None:
    """Reference section 2, etcd: `Config.validate`."""
    with pytest.raises(ValueError, match=complaint):
        Config(**{"id": 1, "rng": Dice(), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"id": 1 << 62},
        {"election_tick": 2},
        {"max_inflight_msgs": 1},
        {"max_inflight_bytes": 10, "max_size_per_msg": 10},
        {"read_only": ReadOnly.LEASE_BASED, "check_quorum": True},
    ],
)
def test_limits_themselves_are_allowed(options: dict[str, object]) -> None:
    """Reference section 2."""
    Config(**{"id": 1, "rng": Dice(), **options})  # type: ignore[arg-type]


def test_defaults_are_those_of_the_reference() -> None:
    """Reference section 2."""
    config = Config(id=1, rng=Dice())

    assert (config.election_tick, config.heartbeat_tick) == (10, 1)
    assert (config.max_size_per_msg, config.max_committed_size_per_ready) == (NO_LIMIT, 0)
    assert (config.max_uncommitted_size, config.max_inflight_bytes) == (0, 0)
    assert (config.check_quorum, config.pre_vote, config.read_only) == (False, False, ReadOnly.SAFE)
    assert not config.disable_proposal_forwarding
    assert not config.disable_conf_change_validation
    assert not config.step_down_on_removal


def test_swarmkit_switches_on_check_quorum_and_nothing_else() -> None:
    """Reference section 20.1."""
    dice = Dice()
    config = swarmkit(7, dice)

    assert config.rng is dice
    assert config == Config(id=7, rng=config.rng, max_size_per_msg=65535, max_inflight_msgs=256, check_quorum=True)
    assert swarmkit(7, Dice(), election_tick=30, heartbeat_tick=3).election_tick == 30
    assert swarmkit(7, Dice(), election_tick=30, heartbeat_tick=3).heartbeat_tick == 3


def test_swarmkit_takes_snapshots_from_where_it_is_told() -> None:
    """Reference section 20.2: the application's."""

    def source() -> None:
        return None

    assert swarmkit(7, Dice(), snapshot_source=source).snapshot_source is source
