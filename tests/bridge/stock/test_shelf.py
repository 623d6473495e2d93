"""Shelf: which of Sonic Pi's files this host has, and to which release of Sonic Pi they belong."""

from bridge.stock.shelf import Shelf
from relay.wire.stock import RELEASES, files_of


def shelf_of(release: str, **other: bytes) -> Shelf:
    shelf = Shelf()
    shelf.scanned({one.name: one.sha256 for one in files_of(release)} | other)
    return shelf


def test_nothing_is_lacking_before_the_folders_were_read() -> None:
    shelf = Shelf()
    assert not shelf.lacks("sonic-pi-kalimba")
    assert shelf.release == ""


def test_a_release_is_known_by_its_files() -> None:
    assert [shelf_of(release).release for release in RELEASES] == list(RELEASES)


def test_a_release_with_some_files_less_is_still_that_release() -> None:
    shelf = Shelf()
    shelf.scanned({one.name: one.sha256 for one in files_of("3.2.2") if "bell" not in one.name})
    assert shelf.release == "3.2.2"
    assert shelf.lacks("sonic-pi-dull_bell")


def test_a_folder_without_any_synthdef_is_no_release_and_lacks_nothing_as_far_as_known() -> None:
    shelf = Shelf()
    shelf.scanned({"samples/mine.flac": bytes(32)})
    assert shelf.release == ""
    assert not shelf.lacks("sonic-pi-beep")


def test_3_2_lacks_kalimba_and_4_5_does_not() -> None:
    assert shelf_of("3.2.2").lacks("sonic-pi-kalimba")
    assert not shelf_of("4.5.1").lacks("sonic-pi-kalimba")


def test_a_synthdef_that_scsynth_refused_is_lacking_until_the_folders_are_read_again() -> None:
    shelf = shelf_of("3.2.2")
    shelf.refused("sonic-pi-beep")
    assert shelf.lacks("sonic-pi-beep")
    shelf.scanned({one.name: one.sha256 for one in files_of("3.2.2")})
    assert not shelf.lacks("sonic-pi-beep")


def test_files_with_another_content_under_a_stock_name_are_named_and_counted() -> None:
    shelf = shelf_of("3.2.2", **{"synthdefs/sonic-pi-beep": bytes(32), "synthdefs/mine": bytes(32)})
    assert shelf.unlisted() == ["synthdefs/sonic-pi-beep"]
    assert shelf.named() == {"unlisted_files": 1}
