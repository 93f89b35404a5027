"""The node's load balancer (libnetwork service_linux.go; IPVS round robin)."""

from swarmsim.agent.load_balancer import LoadBalancer
from swarmsim.api.specs import PortConfig

from .world import endpoint

VIP = "10.0.0.5"


def picked(balancer: LoadBalancer, times: int) -> str:
    found = [balancer.pick("ingress", VIP) for _ in range(times)]
    return "".join(one.task_id if one else "-" for one in found)


def test_round_robin_takes_turns() -> None:
    balancer = LoadBalancer()
    for task in "abc":
        assert balancer.learn(endpoint(task))

    assert picked(balancer, 7) == "abcabca"


def test_a_disabled_destination_stays_and_gets_nothing_new() -> None:
    """Section 2.11, task stop: weight 0."""
    balancer = LoadBalancer()
    for task in "abc":
        balancer.learn(endpoint(task))

    assert balancer.disable(endpoint("b"))
    assert not balancer.disable(endpoint("b"))

    assert sorted(set(picked(balancer, 6))) == ["a", "c"]
    assert balancer.destinations("ingress", VIP) == {"a": 1, "b": 0, "c": 1}


def test_the_last_destination_takes_the_service_along() -> None:
    """Section 2.11: no backend record, connection refused."""
    balancer = LoadBalancer()
    balancer.learn(endpoint("a"))

    assert balancer.drop(endpoint("a"))
    assert not balancer.drop(endpoint("a"))

    assert picked(balancer, 1) == "-"
    assert balancer.destinations("ingress", VIP) == {}


def test_to_drop_what_was_disabled_ends_no_traffic() -> None:
    balancer = LoadBalancer()
    balancer.learn(endpoint("a"))
    balancer.disable(endpoint("a"))

    assert not balancer.drop(endpoint("a"))


def test_published_ports_lead_to_the_same_tasks() -> None:
    """The routing mesh: on any node, by protocol and port."""
    port = PortConfig(protocol="udp", target_port=53, published_port=5300)
    balancer = LoadBalancer()
    balancer.learn(endpoint("a", ingress_ports=(port,)))

    found = balancer.pick_port(5300, "udp")

    assert found is not None
    assert found.task_id == "a"
    assert balancer.pick_port(5300) is None
    assert balancer.port_destinations(5300, "udp") == {"a": 1}


def test_a_record_that_changed_replaces_the_old_one() -> None:
    balancer = LoadBalancer()
    balancer.learn(endpoint("a"))

    balancer.learn(endpoint("a", vip="10.0.0.9"))

    assert balancer.destinations("ingress", VIP) == {}
    assert balancer.destinations("ingress", "10.0.0.9") == {"a": 1}
