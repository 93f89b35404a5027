"""The placement constraint language: what parses, and which nodes it matches."""

import pytest

from swarmsim.api.constraints import (
    Constraint,
    ConstraintError,
    compile_constraints,
    node_matches,
    parse_constraint,
    parse_constraints,
)
from swarmsim.api.objects import Node
from swarmsim.api.specs import Platform
from swarmsim.api.states import NodeRole
from swarmsim.manager.scheduler.filters import constraints as constraint_filter
from swarmsim.store import MemoryStore

from .swarm import node, spec, task

NO_OPERATOR = "constraint expected one operator from ==, !="


# -- parsing --
@pytest.mark.parametrize(
    "text, parsed",
    [
        (" node == node1", ("node", True, "node1")),  # O-017
        ("no.de==node1", ("no.de", True, "node1")),  # O-025
        ("_node==_node1", ("_node", True, "_node1")),  # O-026
        ("node==node 1", ("node", True, "node 1")),  # O-028
        ("node.ip!=10.0.0.0/8", ("node.ip", False, "10.0.0.0/8")),
        ("ab==b", ("ab", True, "b")),
        ("a-b==c", ("a-b", True, "c")),
        ("_x==y", ("_x", True, "y")),
        ("NODE.LABELS.a==x", ("NODE.LABELS.a", True, "x")),
        ("node.labels.==x", ("node.labels.", True, "x")),
        ("ab ==  x y ", ("ab", True, "x y")),
        ("ab==:-_.*()?+[]\\^$|/", ("ab", True, ":-_.*()?+[]\\^$|/")),
    ],
)
def test_constraint_is_key_operator_value(text: str, parsed: tuple[str, bool, str]) -> None:
    """O-017, O-025, O-026, O-028 and the examples of the syntax: blanks around key and value are trimmed."""
    assert parse_constraint(text) == Constraint(*parsed)


@pytest.mark.parametrize(
    "text, error",
    [
        (" ", NO_OPERATOR),  # O-013
        ("nodeabc", NO_OPERATOR),  # O-014
        ("node ~ abc", NO_OPERATOR),
        ("", NO_OPERATOR),
        ("ab=b", NO_OPERATOR),
        ("ab=~b", NO_OPERATOR),
        ("1node==a2", "key '1node' is invalid"),  # O-016
        ("no*de==node1", "key 'no*de' is invalid"),  # O-019
        ("==node1", "key '' is invalid"),  # O-020
        ("no$de==node1", "key 'no$de' is invalid"),  # O-023
        ("no de==n", "key 'no de' is invalid"),
        ("a==b", "key 'a' is invalid"),  # a key has two characters at least
        ("-ab==c", "key '-ab' is invalid"),
        ("ab!=b==c", "key 'ab!=b' is invalid"),  # == is looked for first, wherever it stands
        ("ab!==c", "key 'ab!' is invalid"),
        ("node== ", "value '' is invalid"),  # O-022
        ("node==", "value '' is invalid"),
        ("ab==b==c", "value 'b==c' is invalid"),
        ("ab==b!=c", "value 'b!=c' is invalid"),
        ("ab==a,b", "value 'a,b' is invalid"),
        ('ab=="x"', "value '\"x\"' is invalid"),
        ("ab==a@b", "value 'a@b' is invalid"),
        ("ab==a{1}", "value 'a{1}' is invalid"),
        ("ab==é", "value 'é' is invalid"),
        ("ab==a\vb", "value 'a\vb' is invalid"),  # a vertical tab is no blank to Go
    ],
)
def test_text_that_is_no_constraint_is_refused_with_the_original_words(text: str, error: str) -> None:
    """O-013, O-014, O-016, O-019, O-020, O-022, O-023 and the examples of the syntax."""
    with pytest.raises(ConstraintError) as raised:
        parse_constraint(text)

    assert str(raised.value) == error


def test_the_first_wrong_constraint_of_several_is_told() -> None:
    with pytest.raises(ConstraintError, match="key '1x' is invalid"):
        parse_constraints(("ab==c", "1x==y", "2x==y"))


# -- the value --
@pytest.mark.parametrize(
    "value, candidates, equal",
    [
        ("foo", ["foo"], True),  # O-029
        ("foo", ["fo"], False),
        ("foo", ["fooE"], False),
        ("f*o", ["fo"], False),  # O-031
        ("f*o", ["f*o"], True),
        ("f*o", ["F*o"], True),
        ("f*o", ["foo"], False),
        ("f*o", ["foo", "fo", "bar"], False),  # O-032
        ("f*o", ["foo", "f*o", "bar"], True),
    ],
)
def test_a_value_matches_whole_and_without_case_and_never_as_a_pattern(
    value: str, candidates: list[str], equal: bool
) -> None:
    """O-029, O-031, O-032; `!=` is the opposite."""
    assert parse_constraint(f"node.name=={value}").matches(*candidates) is equal
    assert parse_constraint(f"node.name!={value}").matches(*candidates) is not equal


# -- the filter on a node --
BARE = node("nodeid-1", hostname="", addr="186.17.9.41", platform=Platform())


def holds(text: str, on: Node) -> bool:
    parsed = parse_constraints((text,))
    assert node_matches(parsed, on) == compile_constraints(parsed)(on)
    return node_matches(parsed, on)


def is_on(*texts: str) -> bool:
    return constraint_filter(task("t", spec(constraints=texts)), MemoryStore()) is not None


def test_filter_is_off_without_constraints_and_for_text_that_does_not_parse() -> None:
    """O-034, O-035, O-044."""
    assert not is_on()
    assert is_on("node.hostname == node-2", "node.labels.security != low")
    assert is_on("node.id == nodeid-2", "engine.labels.operatingsystem != ubuntu")
    assert not is_on("node.ip == ")
    assert not is_on("node.hostname == node-2", "node.ip == ")


@pytest.mark.parametrize("hostname, passes", [("", True), ("node-2", True), ("node-1", False), ("NODe-1", False)])
def test_hostname_compares_without_case(hostname: str, passes: bool) -> None:
    """O-037."""
    assert holds("node.hostname != node-1", node("nodeid-1", hostname=hostname)) is passes


@pytest.mark.parametrize(
    "text, passes",
    [
        ("node.ip == 186.17.9.41", True),  # O-038
        ("node.ip != 186.17.9.41", False),
        ("node.ip == 186.17.9.4/24", True),  # O-040: host bits may be set
        ("node.ip == 186.17.8.41/24", False),
        ("node.ip == 186.17.9.41/34", False),  # O-041
        ("node.ip != 186.17.9.41/34", False),
        ("node.ip != 0.0.0.0", True),  # O-043
        ("node.ip == nonsense", False),
        ("node.ip != nonsense", False),
        ("node.ip == 186.17.9.41/255.255.255.0", False),  # a mask is no prefix length
        ("node.ip != 186.17.9.41/255.255.255.0", False),
        ("node.ip == ::ffff:186.17.9.41", True),  # the same address in other clothes
        ("node.ip == ::ffff:186.17.9.0/120", True),
        ("node.ip == 2001:db8::/32", False),
        ("node.ip != 2001:db8::/32", True),
    ],
)
def test_ip_is_an_address_or_a_subnet(text: str, passes: bool) -> None:
    """O-038, O-040, O-041, O-043: what is neither fails, for == and for !=."""
    assert holds(text, BARE) is passes


@pytest.mark.parametrize(
    "text, passes",
    [
        ("node.ip == 2001:db8::2", True),  # O-046
        ("node.ip == 2001:db8:0::2", True),
        ("node.ip != 2001:db8::2/128", False),  # O-047
        ("node.ip == 2001:db8::/64", True),
        ("node.ip == 2001:db9::/64", False),
        ("node.ip != 2001:db9::/64", True),
    ],
)
def test_ip_of_the_sixth_version(text: str, passes: bool) -> None:
    """O-046, O-047."""
    assert holds(text, node("nodeid-1", addr="2001:db8::2")) is passes


@pytest.mark.parametrize("addr", ["", "not an address", "1.2.3.4:2377", "fe80::1%eth0"])
def test_a_node_without_a_proper_address_equals_nothing_and_is_in_no_subnet(addr: str) -> None:
    """node.ip, "no address"."""
    where = node("nodeid-1", addr=addr)

    assert [holds(f"node.ip == {value}", where) for value in ("1.2.3.4", "0.0.0.0/0", "::/0")] == [False] * 3
    assert [holds(f"node.ip != {value}", where) for value in ("1.2.3.4", "0.0.0.0/0", "::/0")] == [True] * 3


@pytest.mark.parametrize("value, passes", [("nodeid-1", True), ("nodeid-1-extra", False), ("nodeid-", False)])
def test_id_compares_whole(value: str, passes: bool) -> None:
    """O-049."""
    assert holds(f"node.id == {value}", BARE) is passes


@pytest.mark.parametrize("value, passes", [("worker", True), ("manager", False), ("worker-manager", False)])
def test_role_is_the_observed_one(value: str, passes: bool) -> None:
    """O-050."""
    assert holds(f"node.role == {value}", BARE) is passes
    assert holds(f"node.role == {value}", node("m1", role=NodeRole.MANAGER)) is (value == "manager")


def test_platform_knows_no_synonyms_here() -> None:
    """O-052."""
    where = node("nodeid-1", platform=Platform("linux", "x86_64"))

    assert not holds("node.platform.arch == amd64", where)
    assert holds("node.platform.arch != amd64", where)
    assert holds("node.platform.os == LINUX", where)


def test_node_labels_are_not_engine_labels() -> None:
    """O-053."""
    text = "node.labels.security == high"

    assert not holds(text, BARE)
    assert not holds(text, node("nodeid-1", engine_labels={"security": "high"}))
    assert holds(text, node("nodeid-1", labels={"security": "high"}))
    assert holds("engine.labels.security == high", node("nodeid-1", engine_labels={"security": "high"}))


def test_two_constraints_must_both_hold() -> None:
    """O-055, O-056 (TestMultipleConstraints): values are compared without regard to case."""
    both = parse_constraints(("node.hostname == node-1", "engine.labels.operatingsystem != Ubuntu 14.04"))

    def on(hostname: str, **labels: str) -> bool:
        return node_matches(both, node("nodeid-1", hostname=hostname, engine_labels=labels))

    assert not on("")
    assert on("node-1")
    assert not on("node-2")
    assert [on("node-1", operatingsystem=f"{os} 14.04") for os in ("Ubuntu", "ubuntu")] == [False, False]
    assert on("node-1", operatingsystem="ubuntu 15.04")


def test_keys_have_no_case_but_names_of_labels_have() -> None:
    where = node("nodeid-1", labels={"Zone": "A"})

    assert holds("NODE.Labels.Zone == a", where)
    assert not holds("node.labels.zone == a", where)


@pytest.mark.parametrize("key", ["node.colour", "node.labels.", "engine.labels.", "nodes.id", "node.name"])
def test_an_unknown_key_parses_and_fails_for_both_operators(key: str) -> None:
    assert not holds(f"{key} == x", BARE)
    assert not holds(f"{key} != x", BARE)


@pytest.mark.parametrize(
    "key",
    ["node.hostname", "node.platform.os", "node.platform.arch", "node.labels.x", "engine.labels.x"],
)
def test_an_unknown_property_equals_nothing(key: str) -> None:
    """A node that has not described itself yet."""
    where = node("nodeid-1", described=False)

    assert not holds(f"{key} == x", where)
    assert holds(f"{key} != x", where)


def test_all_constraints_must_hold() -> None:
    where = node("n1", labels={"a": "1", "b": "2"})

    assert node_matches(parse_constraints(("node.labels.a==1", "node.labels.b==2")), where)
    assert not node_matches(parse_constraints(("node.labels.a==1", "node.labels.b==3")), where)
    assert node_matches((), where)
