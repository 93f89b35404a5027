"""Durations and ranges of them as text: DURATION and TIMES of the scenario language (SCENARIOS.md section 2).

Exact to the microsecond, both ways: `parse_duration(format_duration(us)) == us`. What is wrong is a `ValueError` in the
form of all our errors, `what is wrong; what to write`; the caller adds file, line and key. Compose's own durations are
Go's, and live in `compose.units`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

Micros = int

#: Units, large to small, as they may follow each other.
UNITS: dict[str, Micros] = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_ORDER = list(UNITS)
#: From here on, days, hours and minutes read better than seconds.
_LONG: Micros = 600_000_000

_PART = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(us|ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_SPACED = re.compile(r"\s+")


def parse_duration(text: Any) -> Micros:
    """`250ms`, `16.5s`, `1m30s`, `90d`: numbers with units, large to small, no spaces, never a bare number."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"`{text}` has no unit; write {_with_unit(str(text))}")
    if not isinstance(text, str):
        raise ValueError(f"{_kind(text)} is no duration; write for instance 30s")
    if not _DURATION.fullmatch(text):
        raise ValueError(_why_not(text))
    parts = _PART.findall(text)
    order = [_ORDER.index(unit) for _, unit in parts]
    if order != sorted(set(order)):
        raise ValueError(f"`{_short(text)}`: each unit once, large to small; write {_in_order(parts)}")
    micros = sum((Fraction(number) * UNITS[unit] for number, unit in parts), Fraction())
    if micros.denominator != 1:
        raise ValueError(f"`{text}` is finer than a microsecond; write {format_duration(round(micros))}")
    return int(micros)


def parse_times(text: Any) -> tuple[Micros, Micros]:
    """TIMES: a DURATION, or `A..B`, both ends with their unit and included."""
    if not isinstance(text, str) or ".." not in text:
        micros = parse_duration(text)
        return micros, micros
    first, _, last = text.partition("..")
    if not first or not last:
        raise ValueError(f"`{_short(text)}` is half a range; write both ends, such as 1s..3s")
    if _NUMBER.fullmatch(first) and _DURATION.fullmatch(last):
        raise ValueError(f"`{_short(text)}`: both ends need a unit; write {first}{_PART.findall(last)[0][1]}..{last}")
    low, high = parse_duration(first), parse_duration(last)
    if low > high:
        raise ValueError(f"`{text}` is backwards; write {last}..{first}")
    return low, high


def format_duration(us: Micros) -> str:
    """The shortest exact form: `250ms`, `16.5s`, `90s`, `1h30m`, `90d`; a minus before what is negative."""
    if us < 0:
        return "-" + format_duration(-us)
    if us == 0:
        return "0s"
    if us < _LONG:
        unit = "s" if us >= UNITS["s"] else "ms" if us >= UNITS["ms"] else "us"
        return _number(us, UNITS[unit]) + unit
    text = ""
    for unit in ("d", "h", "m"):
        count, us = divmod(us, UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text + (_number(us, UNITS["s"]) + "s" if us else "")


def _number(us: Micros, unit: Micros) -> str:
    whole, rest = divmod(us, unit)
    decimals = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{decimals}" if decimals else str(whole)


def _why_not(text: str) -> str:
    shown = _short(text)
    squeezed = _SPACED.sub("", text)
    if _NUMBER.fullmatch(text):
        return f"`{shown}` has no unit; write {_with_unit(text)}"
    if squeezed != text and _DURATION.fullmatch(squeezed):
        return f"`{shown}` has a space; write {_in_order(_PART.findall(squeezed))}"
    if text.startswith("-") and _DURATION.fullmatch(text[1:]):
        return f"`{shown}` is negative; write {_short(text[1:])}"
    if _DURATION.fullmatch(text.lower()):
        return f"`{shown}`: units are small letters; write {_short(text.lower())}"
    return f"`{shown}` is no duration; write numbers with units us, ms, s, m, h, d, such as 30s or 1m30s"


def _in_order(parts: list[tuple[str, str]]) -> str:
    """The same duration with its units large to small, each once."""
    total = sum((Fraction(number) * UNITS[unit] for number, unit in parts), Fraction())
    return format_duration(round(total))


def _with_unit(number: str) -> str:
    number = number.lstrip("-")
    return f"{number}s" if _NUMBER.fullmatch(number) and len(number) < 16 else "for instance 30s"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else f"`{value}`"
