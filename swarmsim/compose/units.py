"""Durations, sizes, CPUs and numbers as Go and Docker's client read them; mistakes are `ValueError`s in their words.

Durations are Go's (time.ParseDuration): `1m30s`, `1.5h`, also negative ones and a bare `0`; no days. Sizes are those
of go-units (`RAMInBytes`): powers of 1024, be it `M`, `MB` or `MiB`. CPUs are rational numbers (docker/cli opts
`ParseCPUs`). Where we differ: durations are kept in whole microseconds, so what is finer is cut off.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

Micros = int

_INT64 = 1 << 63
_NANOS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_UNIT = re.compile(r"[^.0-9]+")
_DURATION = re.compile(rf"[-+]?(?:{_PART.pattern})+")

_SUFFIXES = "kmgtp"
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][-+]?[0-9_]+)?")
_MOST_LETTERS = 400

_WHOLE = r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*"
_FRACTION = re.compile(rf"([-+]?)({_WHOLE})/({_WHOLE})")
_DECIMAL = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]{1,3})?")
_PREFIXED = re.compile(r"([-+]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+)")


def duration(text: str) -> Micros:
    """Go's time.ParseDuration, in microseconds."""
    if text in ("0", "+0", "-0"):
        return 0
    if not _DURATION.fullmatch(text):
        raise ValueError(_no_duration(text))
    nanos = sum(int(Fraction(_point(number)) * _NANOS[unit]) for number, unit in _PART.findall(text))
    if nanos >= _INT64:
        raise ValueError(f'time: invalid duration "{_short(text)}"')
    micros = nanos // 1000
    return -micros if text.startswith("-") else micros


def _no_duration(text: str) -> str:
    """What is wrong with it: the first number that has no unit, or one that there is not."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    while found := _NUMBER.match(rest):
        unit = _UNIT.match(rest, found.end())
        if unit is None:
            return f'time: missing unit in duration "{_short(text)}"'
        if unit[0] not in _NANOS:
            return f'time: unknown unit "{_short(unit[0])}" in duration "{_short(text)}"'
        rest = rest[unit.end() :]
    return f'time: invalid duration "{_short(text)}"'


def _point(number: str) -> str:
    """`.5` and `5.` as Python's `Fraction` takes them."""
    return f"0{number}" if number.startswith(".") else number.rstrip(".") if number.endswith(".") else number


def size(text: str) -> int:
    """github.com/docker/go-units `RAMInBytes`."""
    split = max(text.rfind(letter) for letter in "0123456789. ")
    if split < 0:
        raise ValueError(f"invalid size: '{_short(text)}'")
    number, suffix = text[:split] if text[split] == " " else text[: split + 1], text[split + 1 :]
    amount = parse_float(number)
    if amount < 0:
        raise ValueError(f"invalid size: '{_short(text)}'")
    small = suffix.lower()
    if small in ("", "b"):
        return _int64(amount)
    if small[0] not in _SUFFIXES or small[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{_short(small if len(suffix) <= 3 else suffix)}'")
    return _int64(amount * float(1024 ** (_SUFFIXES.index(small[0]) + 1)))


def _int64(amount: float) -> int:
    """What Go makes of a float that is too large (on amd64); the manager refuses it then."""
    return int(amount) if amount < _INT64 else -_INT64


def parse_float(text: str) -> float:
    """Go's strconv.ParseFloat, for decimal numbers."""
    if not _FLOAT.fullmatch(text) or len(text) > _MOST_LETTERS:
        raise ValueError(f'strconv.ParseFloat: parsing "{_short(text)}": invalid syntax')
    try:
        amount = float(text)
    except ValueError:  # underscores at the wrong place
        raise ValueError(f'strconv.ParseFloat: parsing "{_short(text)}": invalid syntax') from None
    if math.isinf(amount):
        raise ValueError(f'strconv.ParseFloat: parsing "{_short(text)}": value out of range')
    return amount


def parse_int(text: str) -> int:
    """Go's strconv.Atoi."""
    if not re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII):
        raise ValueError(f'strconv.Atoi: parsing "{_short(text)}": invalid syntax')
    digits = text.lstrip("+-").lstrip("0") or "0"
    number = int(digits) if len(digits) < 20 else _INT64
    number = -number if text.startswith("-") else number
    if not -_INT64 <= number < _INT64:
        raise ValueError(f'strconv.Atoi: parsing "{_short(text)}": value out of range')
    return number


def nano_cpus(text: str) -> int:
    """docker/cli opts `ParseCPUs`: a rational number that is whole in billionths."""
    cpus = _rational(text)
    if cpus is None:
        raise ValueError(f"failed to parse {_short(text)} as a rational number")
    nano = cpus * 10**9
    if nano.denominator != 1:
        raise ValueError("value is too precise")
    return (int(nano) + _INT64) % (2 * _INT64) - _INT64


def _rational(text: str) -> Fraction | None:
    """Go's big.Rat SetString, in its decimal, fractional and prefixed forms."""
    if len(text) > _MOST_LETTERS:
        return None
    try:
        if found := _FRACTION.fullmatch(text):
            value = Fraction(_integer(found[2]), _integer(found[3]))
            return -value if found[1] == "-" else value
        if found := _PREFIXED.fullmatch(text):
            return Fraction(int(found[1] + found[2], 0))
        return Fraction(Decimal(text)) if _DECIMAL.fullmatch(text) else None
    except (ValueError, ArithmeticError):
        return None


def _integer(text: str) -> int:
    """With a prefix, or octal by a leading zero."""
    octal = text.startswith("0") and text.strip("_0123456789") == "" and len(text) > 1
    return int(text, 8 if octal else 0)


def plain(value: Any) -> str:
    """A scalar as Go's fmt.Sprint prints it: how numbers become labels and variables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _shortest(value) if isinstance(value, float) else str(value)


def printed(value: Any) -> str:
    """Anything as Go's fmt.Sprint prints it: `[a b]`, `map[a:1]`, `<nil>`."""
    if isinstance(value, dict):
        return f"map[{' '.join(sorted(f'{printed(key)}:{printed(item)}' for key, item in value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(printed, value))}]"
    return "<nil>" if value is None else plain(value)


def _shortest(value: float) -> str:
    """Go's %v: the shortest digits that mean the number, with an exponent below 0.0001 and from a million on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, figures, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int), "a finite number has an exponent"
    digits = "".join(map(str, figures)).strip("0") or "0"
    power = len("".join(map(str, figures)).lstrip("0")) - 1 + exponent if digits != "0" else 0
    minus = "-" if sign else ""
    if -4 <= power < 6:
        return minus + _decimal(digits, power)
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _decimal(digits: str, power: int) -> str:
    if power < 0:
        return "0." + "0" * (-power - 1) + digits
    whole = digits[: power + 1].ljust(power + 1, "0")
    rest = digits[power + 1 :]
    return f"{whole}.{rest}" if rest else whole


def words(text: str) -> list[str]:
    """A command line split as a shell would (github.com/google/shlex): quotes, backslashes, `#` comments."""
    found: list[str] = []
    i = 0
    while i < len(text):
        if text[i] in _SPACE:
            i += 1
        elif text[i] == "#":
            end = text.find("\n", i)
            i = len(text) if end < 0 else end
        else:
            word, i = _word(text, i)
            found.append(word)
    return found


_SPACE = " \t\r\n"


def _word(text: str, i: int) -> tuple[str, int]:
    word = ""
    while i < len(text) and text[i] not in _SPACE:
        if text[i] in "\"'":
            part, i = _quoted(text, i)
            word += part
            continue
        if text[i] == "\\":
            i += 1
            if i == len(text):
                raise ValueError("EOF found after escape character")
        word += text[i]
        i += 1
    return word, i


def _quoted(text: str, i: int) -> tuple[str, int]:
    quote, word = text[i], ""
    i += 1
    while i < len(text) and text[i] != quote:
        if quote == '"' and text[i] == "\\":
            i += 1
            if i == len(text):
                raise ValueError("EOF found after escape character")
        word += text[i]
        i += 1
    if i == len(text):
        raise ValueError("EOF found when expecting closing quote")
    return word, i + 1


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
