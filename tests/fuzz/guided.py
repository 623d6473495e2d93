"""Fuzzing of the OSC walk, remap and unmap guided by code coverage: `scripts/fuzz --atheris [N]`.

Needs atheris (`.venv/bin/pip install atheris`; Linux). The first inputs are the recorded datagrams.
"""

import sys
import tempfile
from pathlib import Path
from random import Random

MAX_BYTES = 800


def main() -> None:
    """Run as many inputs as the first argument says (default 100,000).

    The first failed check ends the run with a traceback and the input.
    """
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    try:
        import atheris
    except ImportError:
        raise SystemExit("atheris isn't installed: .venv/bin/pip install atheris") from None
    # What is to be watched must be imported in here for the first time.
    with atheris.instrument_imports(include=["bridge", "relay.wire"]):
        from tests.fuzz.inputs import ordinary, put_together, recorded
        from tests.fuzz.targets import check_datagram

    def one(data: bytes) -> None:
        check_datagram(data, Random(len(data)))

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, datagram in enumerate((*recorded(), *map(put_together, ordinary()))):
            (Path(folder) / str(number)).write_bytes(datagram)
        arguments = [f"-runs={runs}", f"-max_len={MAX_BYTES}", "-timeout=5", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *arguments, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
