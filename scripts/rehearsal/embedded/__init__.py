"""Embedded: the demo where Sonic Pi and scsynth can't be installed.

Relay, bridges, recorders and proof are the real ones. `replayer` stands in for Sonic Pi and sends a genuine
one's messages. `sink` stands in for scsynth behind the recorder. `sounds` finds synthdefs, samples and an
engine to render with, if there are any.
"""

from pathlib import Path

SINK = Path(__file__).resolve().parent / "sink"
"""The stand-in for scsynth as a program, for REHEARSAL_SCSYNTH."""
SINK_RECORDING = "REHEARSAL_SINK_RECORDING"
"""Environment variable: a file to which the sink appends what came when."""
REPLAYER = Path(__file__).resolve().parent / "replayer.py"
"""The stand-in for Sonic Pi."""
TRAFFIC = Path(__file__).resolve().parents[1] / "traffic"
"""Recordings of a genuine Sonic Pi 3.2.2; see the README there."""
