"""The scsynth that plays the jam: how it is started, and what it says about itself.

Pure. Sonic Pi's own flags are kept where they don't matter to others; the id spaces are made large enough
for every slot of a room (166 MB while playing, by scripts/bench, against some 148 with Sonic Pi's own flags).
"""

import re
from dataclasses import dataclass

from bridge.idspace import AUDIO_BUS_COUNT, BUFFER_COUNT, CONTROL_BUS_COUNT

NODES = 65_536
MEMORY_KB = 524_288
LOGINS = 8

READY = "SuperCollider 3 server ready"
_DRIVER = re.compile(r"sample rate = ([0-9.]+), driver's block size = ([0-9]+)")

PERIODS_OF_DRIVER = 3
"""jackd's usual two or three blocks of output latency. scsynth prints the exact figure too, but doesn't
flush it out, so it comes too late to be read from a pipe."""

PERIODS_OF_LATENCY = 1.5
"""scsynth takes a bundle up to half its output latency earlier than the latency itself (measured: 42-63 ms
at 42.7 ms, 11-17 ms at 10.7 ms)."""
NEED_MS_UNKNOWN = 65.0
"""What jackd at 1024 frames needs, for a driver that doesn't say."""

RELEASE_SLACK_MS = 25.0
"""Kept in hand for this host's own delays by what can't be handed over earlier: what stands behind a gap, and
own events whose verdict is late. All else lies at scsynth long before."""


@dataclass(frozen=True, slots=True)
class SynthFlags:
    """What Sonic Pi asked scsynth for."""

    host: str
    port: int
    outs: int
    ins: int
    others: tuple[str, ...]


def parse_flags(arguments: list[str]) -> SynthFlags:
    """Return what the arguments of `scsynth` ask for; those that the bridge sets itself are left out.

    Raises ValueError if there is no UDP port.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(arguments):
        flag = arguments[at]
        if not re.fullmatch(r"-[A-Za-z]", flag) or at + 1 >= len(arguments):
            raise ValueError(f"unexpected argument {flag!r} of scsynth: expected pairs such as -u 4556")
        values[flag] = arguments[at + 1]
        at += 2
    if "-u" not in values:
        raise ValueError(f"no -u PORT among the arguments of scsynth: {' '.join(arguments)}")
    ours = {"-u", "-a", "-b", "-c", "-n", "-m", "-l", "-B"}
    others = tuple(word for flag, value in values.items() if flag not in ours for word in (flag, value))
    return SynthFlags(
        host=values.get("-B", "127.0.0.1"),
        port=int(values["-u"]),
        outs=int(values.get("-o", "8")),
        ins=int(values.get("-i", "8")),
        others=others,
    )


def command(program: str, flags: SynthFlags, host: str, port: int) -> list[str]:
    """Return the command that starts the jam's scsynth on `port` of the address `host`."""
    return [
        program, "-u", str(port), "-B", host,
        "-a", str(AUDIO_BUS_COUNT), "-b", str(BUFFER_COUNT), "-c", str(CONTROL_BUS_COUNT),
        "-n", str(NODES), "-m", str(MEMORY_KB), "-l", str(LOGINS), *flags.others,
    ]  # fmt: skip


def latency_ms(line: str) -> float | None:
    """Return the output latency that a line of scsynth's output lets expect, None if it says nothing."""
    found = _DRIVER.search(line)
    return PERIODS_OF_DRIVER * float(found[2]) / float(found[1]) * 1e3 if found else None


def need_ms(latency: float | None) -> float:
    """Return how many ms before its timetag scsynth needs a bundle."""
    return NEED_MS_UNKNOWN if latency is None else latency * PERIODS_OF_LATENCY
