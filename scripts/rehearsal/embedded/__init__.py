"""Embedded: the demo where Sonic Pi and scsynth can't be installed.

Relay, bridges, recorders and proof are the real ones. `replayer` stands in for Sonic Pi and repeats the
datagrams of a genuine one. `sink` stands in for scsynth behind the recorder. `sounds` finds synthdefs,
samples and an engine to render with, if any can be had.
"""

from pathlib import Path

SINK = Path(__file__).resolve().parent / "sink"
"""The stand-in for scsynth as a program. REHEARSAL_SCSYNTH makes a recorder start it (see
rigs/recorder.py)."""
SINK_RECORDING = "REHEARSAL_SINK_RECORDING"
"""Environment variable: the file in which the sink writes down every datagram, as a recorder does."""
REPLAYER = Path(__file__).resolve().parent / "replayer.py"
"""The stand-in for Sonic Pi."""
TRAFFIC = Path(__file__).resolve().parents[1] / "traffic"
"""Datagrams of a genuine Sonic Pi 3.2.2; see the README there."""
