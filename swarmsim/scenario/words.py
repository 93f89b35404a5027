"""The words of the language, and how to speak of them: what a name may be, did you mean, lists for people.

Reserved words (SCENARIOS.md section 13) are refused with "not yet", so that later versions add words and change none.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from .. import faults, workload

VERBS: dict[str, type[BaseModel]] = {**workload.BY_VERB, **faults.BY_VERB}

#: Verbs and keys of later versions.
VERBS_NOT_YET = faults.NOT_YET
KEYS_NOT_YET = ("every", "times", "parallel", "sometime", "budget")
GROUPS = ("nodes", "managers", "workers", "followers")

#: What neither a host nor an entry may be called, for it would mean something else in a selector or a moment.
_OTHERS = [
    "leader",
    "node",
    "running",
    "of",
    "one",
    "target",
    "end",
    "steady",
    "any",
    "none",
    "all",
    "others",
    "minority",
    "majority",
    "at",
    "when",
    "wait",
    "for",
    "via",
    "name",
    "peers",
]
LANGUAGE = frozenset([*VERBS, *VERBS_NOT_YET, *KEYS_NOT_YET, *GROUPS, *_OTHERS])

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def check_name(value: object) -> str:
    """A `name:` of an entry: letters, digits, `-`, `_`, and no word of the language."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"`{value}` is no name; write letters, digits, - and _, beginning with a letter")
    if value in LANGUAGE:
        raise ValueError(f"`{value}` is a word of the language and cannot be a name; write for instance `my-{value}`")
    return value


def check_host(value: object) -> str:
    """A node's name: a hostname, and no word of the language."""
    if not isinstance(value, str) or not _HOST.fullmatch(value) or ".." in value or len(value) > 253:
        raise ValueError(f"`{value}` is no hostname; write letters, digits, - and single dots")
    if value in LANGUAGE or value.isdigit() or value.endswith((".target", ".end")):
        raise ValueError(f"`{value}` means something in the language and cannot name a node; write `node-{value}`")
    return value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is closest, or ""."""
    known = list(known)
    folded = {k.lower(): k for k in reversed(known)}
    if word.lower() in folded:
        return folded[word.lower()]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else ""


def listed(names: Sequence[str], most: int = 12) -> str:
    """`a, b, c`, cut where it would be long."""
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(names[: most - 2]) + f" and {len(names) - most + 2} more"


def number_word(n: int) -> str:
    """`six`; digits where the word is long."""
    return _NUMBERS[n] if n < len(_NUMBERS) else str(n)


def count_of(n: int, thing: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{n} {thing}" + ("" if n == 1 else "s")
