"""Values with a form of their own: durations, sizes, CPUs, command lines, ports, volumes, images (4.3, 4.6)."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmsim.compose import images, short_forms, units

S = 1_000_000


# ---- durations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("10s", 10 * S),
        ("1m30s", 90 * S),
        ("1.5h2us", 5400 * S + 2),
        ("-5s", -5 * S),
        (".5s", S // 2),
        ("1h0m", 3600 * S),
        ("300ms", 300_000),
        ("1500ns", 1),
        ("1µs", 1),
        ("1s1s", 2 * S),
    ],
)
def test_durations_are_gos(text: str, micros: int) -> None:
    assert units.duration(text) == micros


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "invalid duration") for text in ("", "s", "-", "9999999999h", ".", "1h.")),
        *((text, "missing unit in duration") for text in ("10", "1m5")),
        ("1m-5s", 'unknown unit "m-" in duration'),
        ("1d", 'unknown unit "d" in duration'),
        ("5 s", 'unknown unit " s" in duration'),
        ("1S", 'unknown unit "S" in duration'),
        ("1e3s", 'unknown unit "e" in duration'),
    ],
)
def test_what_is_no_duration_of_go(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        units.duration(text)

    assert str(caught.value) == f'time: {said} "{text}"'


@given(st.integers(0, 10**12), st.sampled_from(["us", "ms", "s", "m"]))
def test_whole_numbers_of_a_unit(number: int, unit: str) -> None:
    factor = {"us": 1, "ms": 1000, "s": S, "m": 60 * S}[unit]
    assume(number * factor < 2**63 // 1000)

    assert units.duration(f"{number}{unit}") == number * factor


# ---- sizes, CPUs, numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5", 5),
        ("5b", 5),
        ("5 b", 5),
        ("1k", 1024),
        ("50M", 50 << 20),
        ("512mb", 512 << 20),
        ("1GiB", 1 << 30),
        ("1.5g", 3 << 29),
        (".5g", 1 << 29),
        ("512 M", 512 << 20),
        ("2T", 2 << 40),
        ("1e3", 1000),
        ("1_000", 1000),
        ("+5m", 5 << 20),
        ("9999999P", -(1 << 63)),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert units.size(text) == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid size: ''"),
        ("M", "invalid size: 'M'"),
        ("-5", "invalid size: '-5'"),
        ("1X", "invalid suffix: 'x'"),
        ("10EB", "invalid suffix: 'eb'"),
        ("5bb", "invalid suffix: 'bb'"),
        ("5mbx", "invalid suffix: 'mbx'"),
        ("5  b", 'strconv.ParseFloat: parsing "5 ": invalid syntax'),
        ("0x10", 'strconv.ParseFloat: parsing "0x10": invalid syntax'),
        ("1e400", 'strconv.ParseFloat: parsing "1e400": value out of range'),
    ],
)
def test_what_is_no_size(text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        units.size(text)

    assert str(error.value) == said


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.5", 500_000_000),
        ("2", 2_000_000_000),
        ("1/2", 500_000_000),
        ("1e-3", 1_000_000),
        (".5", 500_000_000),
        ("5.", 5_000_000_000),
        ("010", 10_000_000_000),
        ("010/4", 2_000_000_000),
        ("0x10", 16_000_000_000),
        ("-1", -1_000_000_000),
    ],
)
def test_cpus_are_rational_numbers(text: str, nano: int) -> None:
    assert units.nano_cpus(text) == nano


@pytest.mark.parametrize("text", ["50%", " 1", "1/0", "1.5/2", "inf", "a", "1e9999"])
def test_what_is_no_number_of_cpus(text: str) -> None:
    with pytest.raises(ValueError, match="as a rational number"):
        units.nano_cpus(text)


@pytest.mark.parametrize("text", ["1/3", "0.0000000001"])
def test_cpus_finer_than_a_billionth(text: str) -> None:
    with pytest.raises(ValueError, match="value is too precise"):
        units.nano_cpus(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (True, "true"),
        (1e3, "1000"),
        (1.0, "1"),
        (1.10, "1.1"),
        (999999.5, "999999.5"),
        (1234567.5, "1.2345675e+06"),
        (1e8, "1e+08"),
        (1e21, "1e+21"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-0.0, "-0"),
        (12345.678, "12345.678"),
    ],
)
def test_numbers_become_text_as_go_prints_them(value: Any, text: str) -> None:
    assert units.plain(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_can_be_read_back(value: float) -> None:
    assert float(units.plain(value)) == value


# ---- command lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ('echo "a b" c', ["echo", "a b", "c"]),
        ("a # b", ["a"]),
        ("a#b '#c' d", ["a#b", "#c", "d"]),
        ("a\\ b c\\\\d", ["a b", "c\\d"]),
        ('"b\\"c\\d\\\\e"', ['b"cd\\e']),
        ("a\nb\tc", ["a", "b", "c"]),
        ("a '' b", ["a", "", "b"]),
        ("a|b > c; d && e", ["a|b", ">", "c;", "d", "&&", "e"]),
    ],
)
def test_a_command_line(text: str, words: list[str]) -> None:
    assert units.words(text) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('echo "a', "EOF found when expecting closing quote"),
        ("echo 'a", "EOF found when expecting closing quote"),
        ("a \\", "EOF found after escape character"),
        ('a "\\', "EOF found after escape character"),
    ],
)
def test_a_command_line_that_does_not_end(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        units.words(text)


@given(st.lists(st.text(alphabet="ab \"'\\#$\t")))
def test_what_python_quotes_is_read_back(words: list[str]) -> None:
    assert units.words(shlex.join(words)) == words


# ---- ports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", [(0, 80, "tcp")]),
        (":80", [(0, 80, "tcp")]),
        ("8080:80", [(8080, 80, "tcp")]),
        ("8080:80/UDP", [(8080, 80, "udp")]),
        ("80/sctp", [(0, 80, "sctp")]),
        ("8000-8002:9000-9002", [(8000, 9000, "tcp"), (8001, 9001, "tcp"), (8002, 9002, "tcp")]),
        ("8000-8001:80", [(8000, 80, "tcp"), (8001, 80, "tcp")]),
        ("3000-3001", [(0, 3000, "tcp"), (0, 3001, "tcp")]),
        # Docker sorts them as texts.
        ("9999-10000", [(0, 10000, "tcp"), (0, 9999, "tcp")]),
        ("127.0.0.1:8080:80", [(8080, 80, "tcp")]),
        ("1.2.3.4::80", [(0, 80, "tcp")]),
        ("[::1]:80:80", [(80, 80, "tcp")]),
        ("00080:080", [(80, 80, "tcp")]),
    ],
)
def test_a_port_in_its_short_form(text: str, ports: list[tuple[int, int, str]]) -> None:
    assert [(p["published"], p["target"], p["protocol"]) for p in short_forms.ports(text)] == ports


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80:",
        "a:b",
        "80:80/foo",
        "70000:80",
        "65536",
        "80:80:80",
        "5-1:80",
        "80-81:80-82",
        " 80:80",
        "localhost:80:80",
    ],
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError):
        short_forms.ports(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8080:80", []),
        ("0.0.0.0:80:80", []),
        ("127.0.0.1:8080:80", ["127.0.0.1:8080:80/tcp"]),
        ("::1:80:80", ["[::1]:80:80/tcp"]),
        ("1.2.3.4:8000-8001:80", ["1.2.3.4:8000-8001:80/tcp"]),
        ("1.2.3.4:80-81:80-81", ["1.2.3.4:80:80/tcp", "1.2.3.4:81:81/tcp"]),
    ],
)
def test_an_address_of_a_port_is_ignored_with_a_word(text: str, said: list[str]) -> None:
    wanted = [f"ignoring IP-address ({port}) service will listen on '0.0.0.0'" for port in said]

    assert short_forms.ignored_ips(text) == wanted


# ---- volumes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("/anon", {"type": "volume", "target": "/anon"}),
        ("data:/d", {"type": "volume", "source": "data", "target": "/d"}),
        ("data:/d:ro", {"type": "volume", "source": "data", "target": "/d", "read_only": True}),
        (
            "data:/d:rw,nocopy",
            {"type": "volume", "source": "data", "target": "/d", "read_only": False, "volume": {"nocopy": True}},
        ),
        ("/a:/b:z,rshared", {"type": "bind", "source": "/a", "target": "/b", "bind": {"propagation": "rshared"}}),
        (".:/b", {"type": "bind", "source": ".", "target": "/b"}),
        ("~/a:/b", {"type": "bind", "source": "~/a", "target": "/b"}),
        # A name of one letter is taken for a Windows drive.
        ("d:/x", {"type": "volume", "target": "d:/x"}),
        ("c:/a:/b", {"type": "bind", "source": "c:/a", "target": "/b"}),
        ("1:/x", {"type": "volume", "source": "1", "target": "/x"}),
        ("a:b:c:d", {"type": "bind", "source": "a:b", "target": "c:d"}),
    ],
)
def test_a_volume_in_its_short_form(text: str, volume: dict[str, Any]) -> None:
    assert short_forms.volume(text) == volume


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid empty volume spec"),
        (":/a", "empty section between colons"),
        ("data:", "empty section between colons"),
        ("data:/d:", "empty section between colons"),
        ("data:/d:ro:rw", "too many colons"),
    ],
)
def test_what_is_no_volume(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        short_forms.volume(text)


# ---- images ----------------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("docker.io/library/nginx", "nginx:latest"),
        ("index.docker.io/foo/bar", "foo/bar:latest"),
        ("library/x", "x:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("gcr.io/a/b:1", "gcr.io/a/b:1"),
        ("Foo.com/a", "Foo.com/a:latest"),
        ("UPPER/x", "UPPER/x:latest"),
        (f"a@{DIGEST}", f"a@{DIGEST}"),
        (f"a:b@{DIGEST}", f"a:b@{DIGEST}"),
        ("x.y:80/a_b__c-d.e", "x.y:80/a_b__c-d.e:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ("0" * 64, "0" * 64),
    ],
)
def test_an_image_as_it_is_sent(text: str, sent: str) -> None:
    assert images.sent(text) == sent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no image specified"),
        ("a:", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("http://x/a", "invalid reference format"),
        ("a@sha256:123", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("UPPER", r"invalid reference format: repository name \(library/UPPER\) must be lowercase"),
        ("A/b/C", r"invalid reference format: repository name \(b/C\) must be lowercase"),
        ("a" * 300, "repository name must not be more than 255 characters"),
        ("a@md5:" + "0" * 32, "unsupported digest algorithm"),
    ],
)
def test_what_is_no_image(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        images.sent(text)
