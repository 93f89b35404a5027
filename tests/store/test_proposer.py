"""The update lock and its way to Raft (SwarmKit memory.go `Update`, `Batch`)."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarmsim.api.objects import Config, Node
from swarmsim.api.specs import ConfigSpec
from swarmsim.api.states import Component
from swarmsim.errors import ApiError, LeadershipLost
from swarmsim.manager.proposer import MAX_CHANGES_PER_TRANSACTION, MAX_TRANSACTION_BYTES

from .world import Leader, node, service


@pytest.fixture
def leader() -> Leader:
    return Leader()


def creates(*ids: str) -> list[Any]:
    return [lambda tx, id=id: tx.create(node(id)) for id in ids]


def test_a_batch_is_committed_in_pieces_of_two_hundred(leader: Leader) -> None:
    """C-041 TestBatch: 405 creates are 200, 200 and 5, each a commit of its own."""
    leader.batch("b", creates(*(f"n{i}" for i in range(405))))
    leader.commit_all()

    assert [len(changes) for changes in leader.told] == [200, 200, 5]
    assert leader.results["b"] == [None] * 405


def test_changes_of_one_callback_stay_together(leader: Leader) -> None:
    """memory.go `Batch.Update`: the limit is looked at after a callback, so a transaction may grow past it."""
    leader.batch("b", [*creates(*(f"n{i}" for i in range(199))), lambda tx: [tx.create(node(i)) for i in "xyz"]])
    leader.commit_all()

    assert [len(changes) for changes in leader.told] == [202]


def test_the_lock_is_held_through_the_round_trip_of_raft(leader: Leader) -> None:
    """Writes are strictly serial."""
    leader.update("a", creates("n1")[0])
    leader.update("b", creates("n2")[0])
    assert len(leader.proposed) == 1

    leader.commit()

    assert [action.new.id for action in leader.proposed[0][0].actions] == ["n2"]
    assert "b" not in leader.results


def test_a_change_is_computed_when_its_turn_comes(leader: Leader) -> None:
    """It reads what the transactions before it have committed."""
    leader.update("a", creates("n1")[0])
    leader.update("b", lambda tx: tx.get(Node, "n1").version)
    assert "b" not in leader.results

    leader.commit()

    assert leader.results["b"] == 0


def test_a_transaction_without_changes_proposes_nothing(leader: Leader) -> None:
    """And its answer does not wait."""
    leader.update("a", lambda tx: "read")

    assert leader.results == {"a": "read"}
    assert not leader.proposed


def test_other_writers_come_in_between_the_pieces_of_a_batch(leader: Leader) -> None:
    """The lock is released between them."""
    leader.batch("batch", creates(*(f"n{i}" for i in range(MAX_CHANGES_PER_TRANSACTION + 1))))
    leader.update("other", creates("x")[0])
    leader.commit_all()

    assert [[c.new.id for c in told][-1] for told in leader.told] == ["n199", "x", "n200"]


def test_an_error_of_one_callback_does_not_end_the_batch(leader: Leader) -> None:
    """It is returned to the callback's owner."""
    leader.create(service("s1"))
    leader.batch("b", [creates("n1")[0], lambda tx: tx.create(service("s1", "new")), creates("n2")[0]])
    leader.commit_all()

    first, error, last = leader.results["b"]
    assert (first, str(error), last) == (None, "rpc error: code = Unknown desc = object already exists", None)
    assert list(leader.store.nodes) == ["n1", "n2"]


def test_lost_leadership_ends_all_that_wait(leader: Leader) -> None:
    """The holder of the lock and those in its queue; what was proposed may commit all the same."""
    for who in "abc":
        leader.update(who, creates(who)[0])
    leader.proposer.lost()

    text = "raft: failed to process the request: node lost leader status"
    assert {who: str(error).partition("desc = ")[2] for who, error in leader.results.items()} == dict.fromkeys(
        "abc", text
    )
    assert len(leader.proposed) == 1


def test_a_follower_writes_nothing(leader: Leader) -> None:
    """Refused unless leadership has been signalled; reads succeed."""
    leader.proposer.lost()
    leader.update("write", creates("n1")[0])
    leader.update("read", lambda tx: tx.get(Node, "n1"))

    assert isinstance(leader.results["write"], LeadershipLost)
    assert leader.results["read"] is None


def test_a_core_that_stepped_down_unnoticed_refuses_the_proposal(leader: Leader) -> None:
    """The writer gets the error, the next one its turn."""
    leader.stepped_down = True
    leader.update("a", creates("a")[0])
    leader.update("b", creates("b")[0])

    assert [type(leader.results[who]) for who in "ab"] == [LeadershipLost, LeadershipLost]


def test_a_lock_held_for_half_a_minute_is_wedged(leader: Leader) -> None:
    """C-019 TestRaftWedgedManager, the store's half: more than 30 s, counted from when it was taken."""
    leader.now = 1_000_000
    leader.update("a", creates("a")[0])

    assert not leader.proposer.wedged(31_000_000)
    assert leader.proposer.wedged(31_000_001)
    leader.commit()
    assert not leader.proposer.wedged(99_000_000)


def test_thousands_that_wait_for_nothing_take_their_turns(leader: Leader) -> None:
    """No recursion: each is answered in the order of asking."""
    leader.update("holder", creates("n1")[0])
    for i in range(3_000):
        leader.update(f"r{i}", lambda tx: None)
    leader.commit()

    assert list(leader.results) == ["holder", *(f"r{i}" for i in range(3_000))]


def test_a_proposal_names_the_component_that_wrote_it(leader: Leader) -> None:
    """The check *task transitions* needs to know whose change it was."""
    leader.update("allocator", creates("a")[0])
    leader.commit()
    leader.update("orchestrator", creates("b")[0])

    assert leader.proposed[0][0].component is Component.ORCHESTRATOR


jobs = st.lists(st.tuples(st.sampled_from(["write", "read", "fail", "batch"]), st.booleans()), max_size=30)


@settings(deadline=None)
@given(jobs)
def test_the_lock_is_first_come(asked: Any) -> None:
    """Against the obvious twin, a queue in which every job but a long batch keeps its place."""
    leader = Leader()
    expected: list[str] = []
    for n, (what, commit) in enumerate(asked):
        who = f"{what}{n}"
        expected.append(who)
        if what == "batch":
            leader.batch(who, creates(f"a{n}", f"b{n}"))
        else:
            leader.update(who, _change(what, n))
        if commit and leader.proposed:
            leader.commit()
    leader.commit_all()

    assert list(leader.results) == expected
    written = [c.new.id for told in leader.told for c in told]
    assert written == [id for who in expected for id in _written(who)]


def _change(what: str, n: int) -> Any:
    def change(tx: Any) -> Any:
        if what == "fail":
            raise ApiError("Internal", "no")
        return tx.create(node(f"a{n}")) if what == "write" else None

    return change


def _written(who: str) -> list[str]:
    n = who.lstrip("abcdefghijklmnopqrstuvwxyz")
    return {"w": [f"a{n}"], "b": [f"a{n}", f"b{n}"]}.get(who[0], [])


def big(id: str, size: int) -> Any:
    return Config(id, ConfigSpec(id, data=b"x" * size))


def test_a_proposal_has_a_megabyte_and_a_half_at_most(leader: Leader) -> None:
    """raft.go `processInternalRaftRequest`, memory.go `MaxTransactionBytes`; whether it leads is asked before."""
    half = MAX_TRANSACTION_BYTES // 2
    leader.update("fits", lambda tx: [tx.create(big(id, half)) for id in "ab"])
    leader.commit()
    leader.update("too large", lambda tx: [tx.create(big(id, half + 1)) for id in "cd"])

    assert sorted(leader.store.configs) == ["a", "b"]
    error = leader.results["too large"]
    assert (error.code, error.text) == ("Unknown", "raft: raft message is too large and can't be sent")
    assert leader.proposed == []
    leader.proposer.lost()
    leader.update("late", lambda tx: [tx.create(big(id, half + 1)) for id in "cd"])
    assert isinstance(leader.results["late"], LeadershipLost)


def test_a_batch_is_cut_at_three_quarters_of_that(leader: Leader) -> None:
    """memory.go `Batch.Update`: looked at after each callback."""
    quarter = MAX_TRANSACTION_BYTES // 4
    leader.batch("b", [lambda tx, id=id: tx.create(big(id, quarter)) for id in "abcdefgh"])
    leader.commit_all()

    assert [len(changes) for changes in leader.told] == [3, 3, 2]
