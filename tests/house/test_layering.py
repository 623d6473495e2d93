"""Layering: which module may import which others. It is checked in the source, with ast."""

import ast
import sys
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.worlds.places import ROOT

PACKAGES = ("relay", "bridge", "clock")

SHELLS = {
    "bridge.cli",
    "bridge.probe.cli",
    "bridge.probe.plot",
    "bridge.probe.service",
    "bridge.shells",
    "clock.sources",
    "relay.cli",
    "relay.shells",
    "relay.transports",
}
"""The shells: modules that may own sockets, tasks, files or the clock. All other modules are cores.

A package stands for all its modules. A new shell must be added here.
"""

FORBIDDEN_IN_CORES = {
    "asyncio", "concurrent", "multiprocessing", "os", "psutil", "queue", "random", "secrets", "select",
    "selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid",
}  # fmt: skip

SEEDED_DICE = {"relay.netmodel.impairment", "relay.netmodel.timelines"}
"""Cores that may import `random`, for the class Random only. They model bad networks from a seed."""

ARROWS: dict[str, dict[str, set[str]]] = {
    "bridge": {
        "cli": {"probe", "shells", "sonicpi"},
        "shells": {
            "core",
            "effects",
            "file_jobs",
            "notices",
            "playout",
            "restart_state",
            "scsynth",
            "session",
            "stock",
        },
        "core": {
            "clocks",
            "effects",
            "file_jobs",
            "playout",
            "restart_state",
            "scsynth",
            "session",
            "sonicpi",
            "stock",
            "tap",
        },
        "tap": {"effects", "notices", "playout", "scsynth", "session"},
        "session": {"clocks", "effects", "notices", "playout", "restart_state", "scsynth"},
        "playout": {"clocks", "effects", "notices", "restart_state", "scsynth", "stock"},
        "stock": {"effects", "file_jobs", "notices"},
        "sonicpi": {"effects"},
        "probe": set(),
        "notices": {"effects"},
        "scsynth": set(),
        "clocks": set(),
        "restart_state": set(),
        "effects": {"file_jobs"},
        "file_jobs": set(),
    },
    "relay": {
        "cli": {"lead", "limits", "shells", "stats", "transports", "wire"},
        "shells": {"effects", "hub", "lead", "limits", "room", "transports", "wire"},
        "hub": {"due_work", "effects", "limits", "room", "stats", "wire"},
        "stats": {"lead", "limits", "room", "wire"},
        "room": {"due_work", "effects", "lead", "limits", "wire"},
        "lead": {"wire"},
        "transports": {"netmodel", "wire"},
        "netmodel": {"wire"},
        "limits": {"wire"},
        "due_work": {"wire"},
        "effects": {"wire"},
        "wire": set(),
    },
}
"""Package -> folder or top module in it -> the folders and modules of the package that it may import."""

RELAY_SIDES_FOR_BRIDGE = ("relay.wire", "relay.transports")
THIRD_PARTY_OF_WIRE = {"msgspec", "cryptography"}
ENTRY_POINTS = {"bridge.shells.shim"}
"""Programs that start one of our commands in its own process."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imports_of(module: str) -> set[str]:
    """Return the modules that `module` imports anywhere in its source, even only for type checking."""
    found: set[str] = set()
    path = SOURCES[module]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide the direction"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in SOURCES else node.module)
    return found


IMPORTS = {module: imports_of(module) for module in SOURCES}


def ours(imported: set[str]) -> set[str]:
    return {name for name in imported if name.partition(".")[0] in PACKAGES}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_shell(module: str) -> bool:
    return any(within(module, shell) for shell in SHELLS)


def offenders(modules: str, *allowed: str) -> dict[str, set[str]]:
    """Return the modules of a package that import a module of ours outside `allowed`: module -> imports."""
    found = {
        module: {name for name in ours(imported) if not within(name, *allowed)}
        for module, imported in IMPORTS.items()
        if within(module, modules)
    }
    return {module: names for module, names in found.items() if names}


def test_the_source_was_found_and_read() -> None:
    assert len(SOURCES) > 40
    assert "relay.wire.timetag" in IMPORTS["relay.room.judge"]
    assert "asyncio" in IMPORTS["relay.shells.service"]


def test_every_shell_named_here_exists() -> None:
    assert [shell for shell in SHELLS if shell not in SOURCES] == []


def test_clock_imports_nothing_of_ours() -> None:
    assert offenders("clock", "clock") == {}


def test_wire_imports_only_wire() -> None:
    assert offenders("relay.wire", "relay.wire") == {}


def test_wire_needs_only_the_standard_library_msgspec_and_cryptography() -> None:
    for module in (name for name in SOURCES if within(name, "relay.wire")):
        roots = {name.partition(".")[0] for name in IMPORTS[module]} - {"relay"}
        assert roots - sys.stdlib_module_names <= THIRD_PARTY_OF_WIRE, module


def test_transports_import_only_wire_the_clocks_readings_and_the_model_of_bad_networks() -> None:
    allowed = (
        "relay.transports",
        "relay.wire",
        "clock",
        "relay.netmodel.impairment",
        "relay.netmodel.networks",
    )
    assert offenders("relay.transports", *allowed) == {}


def test_bridge_imports_of_relay_only_wire_and_transports() -> None:
    assert offenders("bridge", "bridge", "clock", *RELAY_SIDES_FOR_BRIDGE) == {}


def test_relay_never_imports_bridge() -> None:
    assert offenders("relay", "relay", "clock") == {}


def test_nothing_imports_a_cli() -> None:
    importers = {
        module: imported & {"relay.cli", "bridge.cli"}
        for module, imported in IMPORTS.items()
        if module not in ENTRY_POINTS
    }
    assert {module: names for module, names in importers.items() if names} == {}


@pytest.mark.parametrize("module", sorted(module for module in SOURCES if not is_shell(module)))
def test_core_owns_no_socket_no_task_no_clock_and_no_dice(module: str) -> None:
    roots = {name.partition(".")[0] for name in IMPORTS[module]}
    assert roots & FORBIDDEN_IN_CORES == ({"random"} if module in SEEDED_DICE else set())


@pytest.mark.parametrize("module", sorted(SEEDED_DICE))
def test_seeded_dice_are_never_the_unseeded_ones(module: str) -> None:
    tree = ast.parse(SOURCES[module].read_text("utf-8"))
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "random"
        for alias in node.names
    }
    made = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Random"
    ]
    assert taken == {"Random"}
    assert all(node.args for node in made)


@pytest.mark.parametrize("module", sorted(module for module in SOURCES if not is_shell(module)))
def test_core_imports_no_shell(module: str) -> None:
    assert {name for name in ours(IMPORTS[module]) if is_shell(name)} == set()


def test_no_module_is_in_a_circle_of_imports() -> None:
    """No modules import each other in a circle. Imports in functions and for type checking count too."""
    assert_no_circle({module: ours(IMPORTS[module]) & SOURCES.keys() for module in SOURCES})


@pytest.mark.parametrize("package", sorted(ARROWS))
def test_folders_import_only_what_lies_below_them(package: str) -> None:
    climbing = {
        module: {name for name in ours(imported) if within(name, package) and folder(name) not in allowed}
        for module, imported in IMPORTS.items()
        if within(module, package) and module != package
        for allowed in (ARROWS[package][folder(module)] | {folder(module)},)
    }
    assert {module: names for module, names in climbing.items() if names} == {}


@pytest.mark.parametrize("package", sorted(ARROWS))
def test_the_arrows_between_folders_are_drawn_whole_and_in_no_circle(package: str) -> None:
    folders = {folder(module) for module in SOURCES if within(module, package) and module != package}
    assert ARROWS[package].keys() == folders
    assert_no_circle(ARROWS[package])


def folder(module: str) -> str:
    """Return the folder that a module lies in, e.g. "session". For a module in no folder it is the module's
    name."""
    return module.split(".")[1]


def assert_no_circle(arrows: Mapping[str, Collection[str]]) -> None:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_file_outgrows_400_lines(module: str) -> None:
    assert len(SOURCES[module].read_text("utf-8").splitlines()) <= 400
