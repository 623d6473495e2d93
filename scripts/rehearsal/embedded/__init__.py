"""Embedded: the demo where Sonic Pi and scsynth can't be installed.

Relay, bridges, recorders and proof are the real ones. `replayer` stands in for Sonic Pi and sends what a
genuine one sent; `sink` stands in for scsynth behind the recorder; `sounds` finds synthdefs, samples and an
engine to render with, if any can be had.
"""

from pathlib import Path

SINK = Path(__file__).resolve().parent / "sink"
"""The stand-in for scsynth as a program, for REHEARSAL_SCSYNTH."""
SINK_RECORDING = "REHEARSAL_SINK_RECORDING"
"""Environment variable: a file to which the sink appends what came when."""
REPLAYER = Path(__file__).resolve().parent / "replayer.py"
"""The stand-in for Sonic Pi."""
TRAFFIC = Path(__file__).resolve().parents[1] / "traffic"
"""What a genuine Sonic Pi 3.2.2 sent; see the README there."""
