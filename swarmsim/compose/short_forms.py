"""Ports and volumes in their short forms: `8080:80/udp`, `data:/var/lib:ro`.

Ports after github.com/docker/go-connections nat `ParsePortSpec` and docker/cli opts `ConvertPortToPortConfig`; volumes
after docker/cli cli/compose/loader/volume.go, with its quirk: a name of one letter is taken for a Windows drive.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

_MOST_PORT = 65_535
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


# ---- ports -----------------------------------------------------------------------------------------------


def ports(text: str) -> list[dict[str, Any]]:
    """`[IP:][PUBLISHED:]TARGET[/PROTOCOL]`, each end perhaps a range; in the order in which Docker sends them."""
    published, protocol, (first, last), (low, high) = check_ports(text)
    if first == last:
        found = [(first, port) for port in range(low, high + 1)]
    else:
        found = [(first + i, low + i if published else 0) for i in range(last - first + 1)]
        found.sort(key=lambda pair: f"{pair[0]}/{protocol}")  # Docker sorts them as texts
    return [{"protocol": protocol, "target": t, "published": p, "mode": "ingress"} for t, p in found]


def check_ports(text: str) -> tuple[str, str, tuple[int, int], tuple[int, int]]:
    """The published part, the protocol, and both ranges; raises `ValueError` where it is no port."""
    ip, published, target, protocol = _parts(text)
    _check_ip(ip)
    inside = _range(target, "containerPort")
    outside = _range(published, "hostPort") if published else (0, 0)
    if published and inside[1] - inside[0] not in (0, outside[1] - outside[0]):
        raise ValueError(f"invalid ranges specified for container and host Ports: {target} and {published}")
    return published, protocol, inside, outside


def ignored_ips(text: str) -> list[str]:
    """What Docker says of a port with an address: one line for each port that it makes of it."""
    ip, published, target, protocol = _parts(text)
    address = _check_ip(ip)
    if address is None or address.is_unspecified:
        return []
    shown = f"[{address}]" if address.version == 6 else str(address)
    (first, last), (low, high) = _range(target, ""), _range(published, "") if published else (0, 0)
    if first == last:
        binding = published and (str(low) if low == high else f"{low}-{high}")
        pairs = [(binding, first)]
    else:
        pairs = [(str(low + i) if published else "", first + i) for i in range(last - first + 1)]
    said = "ignoring IP-address ({}:{}:{}/{}) service will listen on '0.0.0.0'"
    return [said.format(shown, binding, port, protocol) for binding, port in pairs]


def _parts(text: str) -> tuple[str, str, str, str]:
    """Address, published, target, protocol."""
    *before, last = text.split(":")
    ip = ":".join(before[:-1])
    published = before[-1] if before else ""
    target, *rest = last.split("/")
    protocol = (rest[0] if rest and rest[0] else "tcp").lower()
    if not target:
        raise ValueError("no port specified")
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    return ip, published, target, protocol


def _range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(re.fullmatch(r"[0-9]{1,20}", n) and int(n) <= _MOST_PORT for n in numbers):
        raise ValueError(f"invalid {what}: {text}")
    low, high = int(numbers[0]), int(numbers[1])
    if high < low:
        raise ValueError(f"invalid {what}: {text}")
    return low, high


def _check_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not text:
        return None
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        if "%" in bare:
            raise ValueError
        return ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"invalid IP address: {text}") from None


# ---- volumes ---------------------------------------------------------------------------------------------


def volume(text: str) -> dict[str, Any]:
    """`[SOURCE:]TARGET[:OPTIONS]`, in the words of the long form."""
    if not text:
        raise ValueError("invalid empty volume spec")
    if len(text.encode()) <= 2:
        return {"type": "volume", "target": text}
    fields = _fields(text)
    if "" in fields:
        raise ValueError(f"invalid spec: {text}: empty section between colons")
    if len(fields) > 3:
        raise ValueError(f"invalid spec: {text}: too many colons")
    if len(fields) == 1:
        return {"type": "volume", "target": fields[0]}
    source, target = fields[:2]
    found = {"type": "bind" if _is_path(source) else "volume", "source": source, "target": target}
    return found | (_options(fields[2]) if len(fields) == 3 else {})


def _fields(text: str) -> list[str]:
    """Split at colons, but not after a Windows drive."""
    fields = [""]
    for letter in text:
        if letter == ":" and not _is_drive(fields[-1]):
            fields.append("")
        else:
            fields[-1] += letter
    return fields


def _is_drive(text: str) -> bool:
    return len(text) == 1 and text.isalpha()


def _is_path(source: str) -> bool:
    return source[0] in "./~" or source.startswith("\\\\") or (_is_drive(source[0]) and source[1:2] == ":")


def _options(text: str) -> dict[str, Any]:
    """`ro`, `rw`, `nocopy` and the propagation of a bind; what is unknown is dropped in silence."""
    found: dict[str, Any] = {}
    for option in text.split(","):
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy":
            found["volume"] = {"nocopy": True}
        elif option in _PROPAGATIONS:
            found["bind"] = {"propagation": option}
    return found
