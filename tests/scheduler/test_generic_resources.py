"""User-defined resources: parsing, claiming, giving back."""

import pytest

from swarmsim.api.specs import GenericResource
from swarmsim.manager.scheduler import generic_resources as generic
from swarmsim.manager.scheduler.generic_resources import Free, ParseError


def count(kind: str, n: int) -> GenericResource:
    return GenericResource(kind, n)


def names(kind: str, *of_kind: str) -> GenericResource:
    return GenericResource(kind, names=of_kind)


# -- parsing --
@pytest.mark.parametrize(
    "text, parsed",
    [
        ("apple=3", (count("apple", 3),)),  # O-256 (TestParseDiscrete)
        ("orange=red,orange=green,orange=blue", (names("orange", "red", "green", "blue"),)),  # O-257
        ("orange=red,orange=green,orange=blue,apple=3", (names("orange", "red", "green", "blue"), count("apple", 3))),
        ("apple=0", (count("apple", 0),)),
        (" apple = 3 ", (count("apple", 3),)),
        ("apple=+3", (count("apple", 3),)),
        ("apple=9223372036854775808", (names("apple", "9223372036854775808"),)),  # one more than 64 bits hold
    ],
)
def test_one_integer_is_a_count_and_texts_are_names(text: str, parsed: tuple[GenericResource, ...]) -> None:
    """O-256, O-257 (TestParseStr, TestParseDiscreteAndStr)."""
    assert generic.parse(text) == parsed


@pytest.mark.parametrize(
    "text", ["apple=3\napple=4", "apple=3,apple=4", "apple=-3", "apple=3,apple=red", "apple", "a=b=c"]
)
def test_what_is_neither_is_an_error(text: str) -> None:
    """O-256."""
    with pytest.raises(ParseError, match="could not parse GenericResource"):
        generic.parse(text)


# -- enough --
@pytest.mark.parametrize(
    "available, wanted, enough",
    [
        ({"apple": 3}, 3, True),
        ({"apple": 3}, 4, False),
        ({"apple": ("red", "blue")}, 2, True),
        ({"apple": ("red", "blue")}, 3, False),
        ({}, 1, False),
        ({}, 0, False),
        ({"apple": 3}, 0, True),
    ],
)
def test_enough_is_a_count_or_as_many_free_names(available: Free, wanted: int, enough: bool) -> None:
    assert generic.has_enough(available, count("apple", wanted)) is enough


# -- claiming --
def test_a_claim_of_a_count_decreases_it() -> None:
    """O-259 (TestClaimSingleDiscrete)."""
    available: Free = {"apple": 3}

    assert generic.claim(available, [count("apple", 2)]) == (count("apple", 2),)
    assert available == {"apple": 1}


def test_a_kind_disappears_when_nothing_of_it_is_left() -> None:
    """O-260 (TestClaimMultipleDiscrete)."""
    available: Free = {"apple": 3, "orange": 4, "banana": 2, "cake": 1}

    generic.claim(available, [count("orange", 4), count("apple", 2)])

    assert available == {"apple": 1, "banana": 2, "cake": 1}


def test_a_claim_of_names_takes_the_first_in_order() -> None:
    available: Free = {"gpu": ("b", "a", "c")}

    assert generic.claim(available, [count("gpu", 2)]) == (names("gpu", "b", "a"),)
    assert available == {"gpu": ("c",)}


def test_a_claim_is_all_or_nothing() -> None:
    available: Free = {"apple": 3, "gpu": ("a",)}

    assert generic.claim(available, [count("apple", 1), count("gpu", 2)]) == ()
    assert available == {"apple": 3, "gpu": ("a",)}


def test_a_claim_of_nothing_takes_nothing_of_a_count_and_every_name() -> None:
    """A quirk of resource_management.go: it stops at as many names as wanted, and never has none."""
    available: Free = {"apple": 3, "gpu": ("a", "b")}

    assert generic.claim(available, [count("apple", 0)]) == ()
    assert generic.claim(available, [count("gpu", 0)]) == (names("gpu", "a", "b"),)
    assert available == {"apple": 3}


@pytest.mark.parametrize(
    "available, consumed, left",
    [
        ({"apple": ("red", "orange", "blue")}, names("apple", "red"), {"apple": ("orange", "blue")}),
        ({"apple": 1}, count("apple", 1), {}),
        ({"apple": 4}, count("apple", 1), {"apple": 3}),
        ({"apple": 4}, count("pear", 1), {"apple": 4}),
    ],
)
def test_consuming_takes_exactly_that(available: Free, consumed: GenericResource, left: Free) -> None:
    """O-266 (TestConsumeResourcesSingle)."""
    generic.consume(available, [consumed])

    assert available == left


# -- giving back --
def test_what_is_given_back_adds_up() -> None:
    """O-262 (TestReclaimSingleDiscrete)."""
    available: Free = {}
    for expected in (2, 4):
        generic.reclaim(available, [count("apple", 2)], [count("apple", 6)])
        assert available == {"apple": expected}


def test_names_come_back_at_the_end() -> None:
    available: Free = {"gpu": ("b",)}

    generic.reclaim(available, [names("gpu", "a")], [names("gpu", "a", "b")])

    assert available == {"gpu": ("b", "a")}


@pytest.mark.parametrize(
    "described, left", [((), {}), ((count("orange", 6),), {"orange": 4}), ((count("orange", 2),), {"orange": 2})]
)
def test_counts_are_capped_to_what_the_node_describes(described: tuple[GenericResource, ...], left: Free) -> None:
    """O-263 (TestSanitizeDiscrete)."""
    available: Free = {"orange": 4}

    generic.sanitize(available, described)

    assert available == left


@pytest.mark.parametrize(
    "available, described, left",
    [
        ({"apple": 5}, names("apple", "red"), {"apple": ("red",)}),
        ({"apple": ("red",)}, count("apple", 5), {"apple": 5}),
    ],
)
def test_a_kind_whose_type_changed_is_reset(available: Free, described: GenericResource, left: Free) -> None:
    """O-265 (TestSanitizeChangeDiscreteToSet, TestSanitizeChangeSetToDiscrete)."""
    generic.sanitize(available, [described])

    assert available == left


def test_names_that_the_node_no_longer_has_are_dropped() -> None:
    available: Free = {"gpu": ("a", "b"), "cake": ("x",)}

    generic.sanitize(available, [names("gpu", "b", "c"), names("cake", "y")])

    assert available == {"gpu": ("b",)}
