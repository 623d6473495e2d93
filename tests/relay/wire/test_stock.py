"""The list of stock files: it covers several releases, and agrees with the installed Sonic Pi."""

import hashlib
from pathlib import Path

import pytest

from relay.wire.commands import SYNTHDEFS
from relay.wire.ranges import BY_SYNTHDEF
from relay.wire.stock import CONTESTED, RELEASES, STOCK, Envelope, envelope_of, files_of, stock_file

SONIC_PI = Path("/usr/share/sonic-pi")
SUFFIXES = {"synthdefs": ".scsyndef", "samples": ".flac", "buffers": ".wav"}


def names(release: str, folder: str) -> set[str]:
    return {one.name for one in files_of(release) if one.name.startswith(f"{folder}/")}


def test_the_releases_have_as_many_files_as_were_counted_in_them() -> None:
    counts = {
        release: tuple(len(names(release, folder)) for folder in ("synthdefs", "samples", "buffers"))
        for release in RELEASES
    }
    assert counts == {
        "3.2.2": (96, 165, 1),
        "4.5.1": (120, 191, 5),
        "5.0-beta-1": (120, 195, 5),
        "5.0-npm": (119, 206, 0),
    }


def test_six_names_have_other_content_in_4_5_than_in_3_2_and_one_more_in_5_0() -> None:
    older, newer = set(files_of("3.2.2")), set(files_of("4.5.1"))
    changed = {one.name for one in older - newer} & {one.name for one in newer}
    assert changed == {
        f"synthdefs/sonic-pi-{name}"
        for name in ("pulse", "dpulse", "subpulse", "dull_bell", "pretty_bell", "fx_autotuner")
    }
    assert CONTESTED - changed == {"synthdefs/sonic-pi-tech_saws"}


def test_all_that_4_5_added_to_3_2_has_the_size_that_was_measured() -> None:
    older = {one.name for one in files_of("3.2.2")}
    added = [one for one in files_of("4.5.1") if one.name not in older]
    synthdefs = [one for one in added if one.is_synthdef]
    assert (len(synthdefs), sum(one.size for one in synthdefs)) == (24, 89_448)
    samples = [one for one in added if one.name.startswith("samples/")]
    assert (len(samples), sum(one.size for one in samples)) == (26, 10_453_060)


def test_every_synthdef_of_the_list_is_one_whose_controls_are_known() -> None:
    found = {name.removeprefix("synthdefs/") for name in STOCK if name.startswith("synthdefs/")}
    assert found <= SYNTHDEFS.keys()
    assert found >= {name for name in SYNTHDEFS if not name.endswith("_gated")}


def test_a_file_is_known_by_name_and_content_together() -> None:
    one, other = STOCK["samples/bd_haus.flac"][0], STOCK["samples/bd_ada.flac"][0]
    assert stock_file(one.name, one.sha256) is one
    assert stock_file(one.name, other.sha256) is None
    assert stock_file("samples/mine.flac", one.sha256) is None


def test_a_note_that_sets_no_envelope_has_the_synthdefs_own() -> None:
    assert envelope_of("sonic-pi-beep") == Envelope(0, 0, 0, 1, 1, -1, 1, 1)
    assert envelope_of("sonic-pi-kalimba") == Envelope(0, 0, 4, 1, 1, -1, 1)
    player = envelope_of("sonic-pi-stereo_player")
    assert player is not None
    assert player.sustain == -1


@pytest.mark.parametrize("name", ["sonic-pi-fx_echo", "sonic-pi-sc808_clap", "sonic-pi-mixer", "mine"])
def test_what_has_no_attack_and_release_has_no_envelope(name: str) -> None:
    assert envelope_of(name) is None


def test_an_envelope_s_controls_are_controls_of_its_synthdef() -> None:
    for name, controls in BY_SYNTHDEF.items():
        envelope = envelope_of(name)
        if envelope is not None:
            assert {"attack", "decay", "sustain", "release"} <= controls.keys()
            assert envelope.env_curve is None or "env_curve" in controls


@pytest.mark.skipif(not (SONIC_PI / "synthdefs").is_dir(), reason="no Sonic Pi on this machine")
def test_the_installed_sonic_pi_has_just_the_files_of_one_release() -> None:
    found = set()
    for folder, suffix in SUFFIXES.items():
        for path in (SONIC_PI / folder).rglob(f"*{suffix}"):
            name = path.stem if folder == "synthdefs" else path.name
            found.add((f"{folder}/{name}", hashlib.sha256(path.read_bytes()).digest()))
    assert found in [{(one.name, one.sha256) for one in files_of(release)} for release in RELEASES]
