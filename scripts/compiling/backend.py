"""The build backend: setuptools' own one, extended to compile the relay's core with mypyc on request.

`JAMRELAY_COMPILED=1 pip install .` compiles the modules of MODULES. The compiled modules come from the same
source, do the same, and take six tenths of the time. Without that variable, and always for an editable
install, the package stays pure Python and needs no compiler. mypyc needs a C compiler and Python's headers.
"""

import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta, setup

SWITCH = "JAMRELAY_COMPILED"
"""Name of the environment variable that asks for a compiled core, with the value 1."""

MYPYC = "mypy[mypyc]>=2.4,<2.5"
"""The releases of mypyc that a build may use. Other releases may refuse or break the modules, so try them
before you allow them."""

MODULES = (
    "relay.due_work",
    "relay.effects",
    "relay.limits",
    "relay.hub.hub",
    "relay.hub.member_frames",
    "relay.hub.rooms",
    "relay.lead.delivery_times",
    "relay.lead.member_paths",
    "relay.lead.note_headroom",
    "relay.lead.recent",
    "relay.room.channel",
    "relay.room.coherence",
    "relay.room.heartbeat",
    "relay.room.judge",
    "relay.room.room",
    "relay.room.seat",
    "relay.room.slot_counts",
    "relay.wire.budget",
    "relay.wire.catchup",
    "relay.wire.datagram",
    "relay.wire.frames",
    "relay.wire.guard",
    "relay.wire.loss",
    "relay.wire.meaning",
    "relay.wire.outbox",
    "relay.wire.recovery",
    "relay.wire.sequence",
    "relay.wire.timetag",
    "relay.wire.version",
)
"""The modules that are compiled. Every event passes through them, apart from one module that only tells
whether they are compiled."""


_Setuptools: Any = type(build_meta.build_wheel.__self__)


class _Compiling(_Setuptools):  # type: ignore[misc]  # setuptools has no types
    def run_setup(self, setup_script: str = "setup.py") -> None:
        from mypyc.build import mypycify

        # A fresh folder, since modules that an earlier build left in a kept one would be installed as well.
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{module.replace('.', '/')}.py" for module in MODULES]
            flags = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={folder}/cache"]
            extensions = mypycify(
                [*flags, *paths], group_name="jamrelay", multi_file=True, debug_level="0", target_dir=folder
            )
            setup(ext_modules=extensions, options={"build": {"build_base": folder}})


class _WithBackend(_Setuptools):  # type: ignore[misc]
    def run_setup(self, setup_script: str = "setup.py") -> None:
        # A source distribution has only packages unless told otherwise, and couldn't be built without this.
        setup(data_files=[("", [str(path) for path in sorted(Path("scripts/compiling").glob("*.py"))])])


def asked() -> bool:
    """Return whether a compiled core is asked for."""
    return os.environ.get(SWITCH) == "1"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return the packages that a build needs. For a compiled core, the package's own dependencies are among
    them: mypyc reads their types."""
    needed: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    if asked():
        project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
        needed += [MYPYC, *project["dependencies"]]
    return needed


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    """Build the wheel and return its name."""
    backend = _Compiling() if asked() else build_meta
    name: str = backend.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build the source distribution, this backend included, and return its name."""
    name: str = _WithBackend().build_sdist(sdist_directory, config_settings)
    return name


build_editable = build_meta.build_editable
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel
