"""OSC timetags as 64-bit NTP integers: (seconds since 1900) << 32 | fraction.

Pure. A timetag is an `int` everywhere in our programs. Converting it to a float and back would change it by
up to 238 ns. Durations in the same unit are called ticks (2**-32 s). Source: OSC 1.0, RFC 5905 section 6.
"""

IMMEDIATELY = 1
"""The OSC timetag that means "at once"."""

TICKS_PER_S = 1 << 32
NS_PER_S = 1_000_000_000

NTP_UNIX_OFFSET_S = 2_208_988_800
"""Seconds from 1900-01-01 (NTP) to 1970-01-01 (Unix)."""

FIRST_SAFE = 1 << 63
"""The least timetag that is safe to hand to scsynth, because scsynth compares timetags as signed integers. A
bundle with a lower timetag sorts after all others and never runs (scsynth 3.13, measured). Lower timetags
stand for years after 2036, or are seconds counted from now by mistake."""


def from_unix_ns(unix_ns: int) -> int:
    """Return the timetag of a Unix time in nanoseconds, rounded down to a tick."""
    return (NTP_UNIX_OFFSET_S << 32) + (unix_ns << 32) // NS_PER_S


def to_unix_ns(timetag: int) -> int:
    """Return the Unix time of a timetag in nanoseconds, rounded to the nearest."""
    return ((timetag - (NTP_UNIX_OFFSET_S << 32)) * NS_PER_S + (1 << 31)) >> 32


def ticks(seconds: float) -> int:
    """Return a duration in seconds as ticks (2**-32 s), rounded to the nearest."""
    return round(seconds * TICKS_PER_S)


def seconds(ticks_: int) -> float:
    """Return a duration in ticks as seconds."""
    return ticks_ / TICKS_PER_S


def ms(ticks_: int) -> float:
    """Return a duration in ticks as milliseconds, for display."""
    return ticks_ / TICKS_PER_S * 1e3
