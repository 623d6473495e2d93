"""Nano: renders one score with nanosynth's scsynth.

    nano.py SCORE WAV SAMPLE_RATE CHANNELS

It is a program of its own, because a process can have only one of nanosynth's scsynths in its life.
"""

import sys


def main(arguments: list[str]) -> int:
    from nanosynth import _scsynth
    from nanosynth.scsynth import find_ugen_plugins_path

    score, wav, sample_rate, channels = arguments
    plugins = find_ugen_plugins_path()
    _scsynth.world_nrt_render(
        cmd_filename=score,
        output_filename=wav,
        sample_rate=int(sample_rate),
        header_format="WAV",
        sample_format="int16",
        num_output_bus_channels=int(channels),
        num_input_bus_channels=0,
        # The limits that offline.BIG gives to the genuine scsynth.
        num_audio_bus_channels=65_536,
        num_buffers=65_536,
        max_nodes=16_384,
        realtime_memory_size=524_288,
        max_graph_defs=4_096,
        max_wire_bufs=256,
        ugen_plugins_path=None if plugins is None else str(plugins),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
