"""Sample files: Sonic Pi's own are found by their names, and no name leads to another file."""

import resource
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.scsynth.samples import (
    SAMPLES_PER_BYTE,
    Load,
    LocalFile,
    ResourceFolders,
    load_to_local,
    load_to_wire,
)
from relay.wire.errors import Refused
from relay.wire.meaning import FRAMES_MAX, Meaning
from relay.wire.osc import encode


@pytest.fixture
def folders(tmp_path: Path) -> ResourceFolders:
    for kind in ("samples", "buffers", "synthdefs/compiled"):
        (tmp_path / "etc" / kind).mkdir(parents=True)
    (tmp_path / "etc/samples/bd_haus.flac").write_bytes(b"x")
    (tmp_path / "etc/buffers/rand-stream.wav").write_bytes(b"x")
    (tmp_path / "secret.wav").write_bytes(b"x")
    (tmp_path / "etc/samples/out.wav").symlink_to(tmp_path / "secret.wav")
    return ResourceFolders(tmp_path / "etc")


def test_a_path_of_sonic_pis_own_travels_by_name_and_becomes_the_path_here(folders: ResourceFolders) -> None:
    root = folders.root
    for kind, name in (("samples", "bd_haus.flac"), ("buffers", "rand-stream.wav")):
        assert folders.to_wire(f"{root}/{kind}/{name}") == f"{kind}/{name}"
        assert folders.to_local(f"{kind}/{name}") == LocalFile(root / kind / name, 1)


def test_a_name_that_this_machine_has_no_file_for_is_none(folders: ResourceFolders) -> None:
    assert folders.to_local("samples/no_such.flac") is None
    assert ResourceFolders(Path("/nowhere")).to_local("samples/bd_haus.flac") is None


@pytest.mark.parametrize(
    "name",
    [
        "../secret.wav",
        "samples/../../secret.wav",
        "samples/..",
        "samples/.hidden",
        "/etc/passwd",
        "/samples/bd_haus.flac",
        "samples",
        "samples/a/b.flac",
        "other/bd_haus.flac",
        "samples/bd haus.flac",
        "samples/bd_haus.flac\n",
        "",
        "samples/" + "x" * 200,
    ],
)
def test_no_other_name_is_taken_from_the_network(folders: ResourceFolders, name: str) -> None:
    with pytest.raises(Refused):
        folders.to_local(name)


@given(st.text(alphabet="./\\~asmple_bd\x00 -", max_size=30))
def test_whatever_the_name_the_path_lies_in_sonic_pis_folders(name: str) -> None:
    folders = ResourceFolders(Path(__file__).parent)
    try:
        file = folders.to_local(name)
    except Refused:
        return
    assert file is None or file.path.resolve().is_relative_to(Path(__file__).parent)


def test_a_symlink_out_of_the_folder_is_not_followed(folders: ResourceFolders) -> None:
    assert folders.to_local("samples/out.wav") is None


def test_a_file_that_cannot_be_looked_for_is_as_one_that_is_not_there(folders: ResourceFolders) -> None:
    assert folders.root is not None
    (folders.root / "samples/loop.wav").symlink_to("loop.wav")
    assert folders.to_local("samples/loop.wav") is None
    (folders.root / "loop").symlink_to("loop")
    assert folders.to_wire(f"{folders.root}/loop/samples/bd_haus.flac") is None
    folders.learn(f"{folders.root}/loop/compiled")
    folders.learn("compiled")
    assert folders.to_local("samples/bd_haus.flac") is not None
    assert ResourceFolders(folders.root / "loop").to_local("samples/bd_haus.flac") is None


def test_a_file_that_is_there_and_cannot_be_opened_is_as_one_that_is_not_there(
    folders: ResourceFolders,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # root may open all that exists, but no more files
    try:
        found = folders.to_local("samples/bd_haus.flac")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found is None
    assert folders.to_local("samples/bd_haus.flac") is not None


def test_a_folder_that_is_itself_a_symlink_is_followed(folders: ResourceFolders, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(tmp_path / "etc")
    through = ResourceFolders(tmp_path / "elsewhere")
    assert through.to_local("samples/bd_haus.flac") is not None
    assert through.to_wire(f"{tmp_path}/etc/samples/bd_haus.flac") == "samples/bd_haus.flac"


@pytest.mark.parametrize(
    "path", ["secret.wav", "etc/samples/../../secret.wav", "etc/samples/.x", "etc/x.wav"]
)
def test_any_other_path_of_the_player_stays_local(
    folders: ResourceFolders, tmp_path: Path, path: str
) -> None:
    assert folders.to_wire(str(tmp_path / path)) is None
    load = Meaning(encode("/b_allocRead", 3, str(tmp_path / path), 0, 0))
    assert load_to_wire(load, folders) is None


def test_a_load_keeps_its_other_arguments_on_the_way(folders: ResourceFolders) -> None:
    local = encode("/b_allocRead", 3, f"{folders.root}/samples/bd_haus.flac", 7, 9)
    wire = load_to_wire(Meaning(local), folders)
    assert wire is not None
    assert wire.payload == encode("/b_allocRead", 3, "samples/bd_haus.flac", 7, 9)
    here = load_to_local(wire, folders)
    assert here is not None
    assert (here.meaning.payload, here.samples) == (local, SAMPLES_PER_BYTE)


def test_sonic_pis_root_is_learnt_from_its_synthdefs(folders: ResourceFolders) -> None:
    learnt = ResourceFolders(Path("/nowhere"))
    learnt.learn("/tmp/compiled")
    learnt.learn(f"{folders.root}/synthdefs")
    assert learnt.root == Path("/nowhere")
    learnt.learn(f"{folders.root}/synthdefs/compiled")
    assert learnt.root == folders.root


def alloc(*numbers: int | float) -> bytes:
    return encode("/b_alloc", 1, *numbers)


@pytest.mark.parametrize("size", [(1024, 2), (1024.0, 2), (FRAMES_MAX, 1), (64,)])
def test_a_buffer_of_a_sensible_size_travels(folders: ResourceFolders, size: tuple[float, ...]) -> None:
    meaning = Meaning(alloc(*size))
    assert load_to_wire(meaning, folders) is meaning
    assert load_to_local(meaning, folders) == Load(meaning, round(prod(size)))


@pytest.mark.parametrize(
    "size", [(), (0, 1), (-5, 1), (FRAMES_MAX, 2), (FRAMES_MAX + 1, 1), (float("nan"), 1), (float("inf"), 1)]
)
def test_a_buffer_of_no_size_or_too_large_a_size_is_refused(
    folders: ResourceFolders, size: tuple[float, ...]
) -> None:
    for load in (load_to_wire, load_to_local):
        with pytest.raises(Refused):
            load(Meaning(alloc(*size)), folders)


def test_nothing_but_loads_is_a_resource(folders: ResourceFolders) -> None:
    with pytest.raises(Refused):
        load_to_local(Meaning(encode("/b_write", 1, "samples/bd_haus.flac")), folders)
