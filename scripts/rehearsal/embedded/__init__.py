"""Embedded: the parts of the demo for machines on which Sonic Pi and scsynth can't be installed.

Relay, bridges, recorders and proof are the real ones. `replayer` stands in for Sonic Pi and repeats the
datagrams of a genuine one. `sink` stands in for scsynth behind the recorder. `sounds` finds synthdefs,
samples and an engine to render with, if there are any.
"""

from pathlib import Path

SINK = Path(__file__).resolve().parent / "sink"
"""Path of the program that stands in for scsynth. A recorder starts it if the environment variable
REHEARSAL_SCSYNTH names it (see rigs/recorder.py)."""
SINK_RECORDING = "REHEARSAL_SINK_RECORDING"
"""Environment variable that names a file. The sink appends every datagram to it, in the recorder's format."""
REPLAYER = Path(__file__).resolve().parent / "replayer.py"
"""Path of the program that stands in for Sonic Pi."""
TRAFFIC = Path(__file__).resolve().parents[1] / "traffic"
"""Folder of datagrams recorded from a genuine Sonic Pi 3.2.2; see the README there."""
