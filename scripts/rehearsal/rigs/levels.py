"""Levels: compares what two synthesizers play, by the sound, second by second and by third octaves.

Pure. Samples are arrays of floats with one row per channel. Levels are in dB of full scale. Of two takes the
same stretches of time are compared, without shifting them: a synthesizer's clock is good for some ms, and
that changes the level of a whole second by less than 0.1 dB.
"""

from collections.abc import Iterator
from typing import Any

import numpy

from rehearsal.rigs.livetake import LiveTake, dbfs_of

SECOND_NS = 1_000_000_000
LOWEST_HZ, HIGHEST_HZ = 50.0, 16_000.0
THIRD = 10**0.1
"""Ratio of two neighbouring third octaves (IEC 61260, base ten)."""
SPARE_NS = 50_000_000
"""A second is cut out of a stretch that is so much longer (ns), since a take has whole blocks only."""
SMOOTH_S = 0.010
"""Length (s) of the window over which a tone's amplitude is averaged."""


def seconds(take: LiveTake, from_ns: int, to_ns: int) -> Iterator[tuple[int, Any]]:
    """Yield (Unix ns of its beginning, samples) for each whole second of a stretch. Raises TakeError.

    All have the same number of samples, else a tone near the edge of a band would be in it now and then. So
    the take must go on for SPARE_NS after the stretch.
    """
    for at_ns in range(from_ns, to_ns - SECOND_NS + 1, SECOND_NS):
        yield at_ns, take.between(at_ns, at_ns + SECOND_NS + SPARE_NS)[:, : take.rate].astype("float64")


def level_of(samples: Any) -> float:
    """Return the RMS level of all channels together."""
    return dbfs_of(float(numpy.mean(samples**2)))


def band_levels(samples: Any, edges_hz: list[tuple[float, float]], rate: int) -> list[float]:
    """Return the level of each band [from, to) in Hz, all channels together."""
    window = numpy.hanning(samples.shape[1])
    spectrum = numpy.abs(numpy.fft.rfft(samples * window, axis=1)) ** 2
    # Parseval, for one side of the spectrum, and for what the window takes away.
    power = 2 * spectrum.mean(axis=0) / (samples.shape[1] * float(window @ window))
    hertz = numpy.fft.rfftfreq(samples.shape[1], 1 / rate)
    return [dbfs_of(float(power[(hertz >= low) & (hertz < high)].sum())) for low, high in edges_hz]


def third_octaves() -> list[tuple[float, float]]:
    """Return the edges (Hz) of the third octaves from LOWEST_HZ to HIGHEST_HZ."""
    edges = []
    middle = LOWEST_HZ
    while middle <= HIGHEST_HZ:
        edges.append((middle / THIRD**0.5, middle * THIRD**0.5))
        middle *= THIRD
    return edges


def tone_end_s(samples: Any, hertz: float, rate: int) -> float | None:
    """Return the time (s from the first sample) at which a pure tone ends; None if it doesn't.

    The tone must sound at the beginning. Its usual amplitude is that of the first half second. The tone ends
    at the last sample with at least half of the usual amplitude.
    """
    at = numpy.arange(samples.shape[1]) / rate
    shifted = samples.mean(axis=0) * numpy.exp(-2j * numpy.pi * hertz * at)
    length = round(SMOOTH_S * rate)
    amplitude = numpy.abs(numpy.convolve(shifted, numpy.ones(length) / length, mode="same"))
    usual = float(numpy.median(amplitude[: rate // 2]))
    loud = numpy.flatnonzero(amplitude >= usual / 2)
    last = int(loud[-1]) if len(loud) else 0
    return None if last >= samples.shape[1] - length else last / rate
