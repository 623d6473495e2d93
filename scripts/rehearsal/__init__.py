"""Rehearsal: genuine Sonic Pi and scsynth, headless, and recorders that a bridge can't fool.

`stage` boots and ends the programs, `recorder` stands in front of scsynth, `recording` reads its files,
`compare` proves sameness, `sound`, `livetake`, `offline` and `picture` make it audible and visible. Nothing
here imports `relay` or `bridge`, so that the proof shares no code with the program under test.
"""

from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "rigs" / "recorder"
"""The recorder as a program, to be started in place of scsynth."""
