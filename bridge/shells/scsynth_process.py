"""scsynth process: the command line of the scsynth that plays the jam, and the figures in its output.

Pure. Flags of Sonic Pi that don't matter to other members are kept. The id spaces are made large enough for
every slot of a room. Measured by scripts/bench, this scsynth takes 166 MB while playing. With Sonic Pi's own
flags it takes some 148 MB.
"""

import re
from dataclasses import dataclass

from bridge.scsynth.id_space import AUDIO_BUS_COUNT, BUFFER_COUNT, CONTROL_BUS_COUNT

NODES = 65_536
MEMORY_KB = 524_288
LOGINS = 8

READY = "SuperCollider 3 server ready"
_FLAG = re.compile(r"-[A-Za-z]")
_OURS = {"-u", "-a", "-b", "-c", "-n", "-m", "-l", "-B"}
"""Flags that the bridge sets itself."""
_DRIVER = re.compile(r"sample rate = ([0-9.]+), driver's block size = ([0-9]+)")

PERIODS_OF_DRIVER = 3
"""scsynth's output latency in driver blocks; jackd usually has two or three. scsynth prints the exact figure
too, but doesn't flush it, so through a pipe it comes too late."""

PERIODS_OF_LATENCY = 1.5
"""scsynth takes a bundle at most this many output latencies before the bundle's timetag. Measured: 42-63 ms
at a latency of 42.7 ms, 11-17 ms at 10.7 ms."""
NEED_MS_UNKNOWN = 65.0
"""The value of `need_ms` (ms) if the driver prints no figures. It is that of jackd at 1024 frames."""

RELEASE_SLACK_MS = 25.0
"""Reserve (ms) for this host's own delays. Only events that can't be handed over earlier need it: those
behind a gap, and events of the local player whose verdict is late. All others are at scsynth long before they
are due."""


@dataclass(frozen=True, slots=True)
class SynthFlags:
    """The flags with which Sonic Pi starts scsynth.

    host, port: scsynth's UDP address. outs, ins: channels of the sound card. others: all flags that the
    bridge doesn't set itself, with their words, in their order.
    """

    host: str
    port: int
    outs: int
    ins: int
    others: tuple[str, ...]


def parse_flags(arguments: list[str]) -> SynthFlags:
    """Return the flags among the arguments with which Sonic Pi starts scsynth.

    A flag is a dash and a letter. All words up to the next flag belong to it: none (-L), one (-u 4556), or
    several (-H IN OUT). Raises ValueError, with a text, if a word has no flag, if there is no UDP port, or if
    a flag read here hasn't exactly one valid value.
    """
    flags: list[tuple[str, ...]] = []
    for word in arguments:
        if _FLAG.fullmatch(word):
            flags.append((word,))
        elif flags:
            flags[-1] += (word,)
        else:
            raise ValueError(f"unexpected argument {word!r} of scsynth: expected a flag such as -u 4556")
    found = {flag: words for flag, *words in flags}  # scsynth takes the last of repeated flags
    if "-u" not in found:
        raise ValueError(f"no -u PORT among the arguments of scsynth: {' '.join(arguments)}")
    return SynthFlags(
        host=_value(found, "-B", "127.0.0.1"),
        port=_number(found, "-u", ""),
        outs=_number(found, "-o", "8"),
        ins=_number(found, "-i", "8"),
        others=tuple(word for flag in flags if flag[0] not in _OURS for word in flag),
    )


def _value(found: dict[str, list[str]], flag: str, default: str) -> str:
    words = found.get(flag, [default])
    if len(words) != 1:
        raise ValueError(f"flag {flag} of scsynth with {words or 'nothing'} behind it: expected one value")
    return words[0]


def _number(found: dict[str, list[str]], flag: str, default: str) -> int:
    value = _value(found, flag, default)
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"flag {flag} of scsynth with {value!r} behind it: expected a number")
    return int(value)


def command(program: str, flags: SynthFlags, host: str, port: int) -> list[str]:
    """Return the command that starts the scsynth that plays the jam. host, port: the UDP address for that
    scsynth."""
    return [
        program, "-u", str(port), "-B", host,
        "-a", str(AUDIO_BUS_COUNT), "-b", str(BUFFER_COUNT), "-c", str(CONTROL_BUS_COUNT),
        "-n", str(NODES), "-m", str(MEMORY_KB), "-l", str(LOGINS), *flags.others,
    ]  # fmt: skip


def latency_ms(line: str) -> float | None:
    """Return the output latency (ms) from a line of scsynth's output; None if the line has no such
    figures."""
    found = _DRIVER.search(line)
    return PERIODS_OF_DRIVER * float(found[2]) / float(found[1]) * 1e3 if found else None


def need_ms(latency: float | None) -> float:
    """Return the time (ms) by which a bundle must reach scsynth before its timetag.

    latency: scsynth's output latency, ms; None if unknown.
    """
    return NEED_MS_UNKNOWN if latency is None else latency * PERIODS_OF_LATENCY
