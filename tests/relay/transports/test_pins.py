"""Known relays: a relay's key is trusted at first use, recognised later, and another key causes an error."""

from pathlib import Path

import pytest

from relay.transports.pins import KnownRelays, Trust, default_path
from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError

HERE = Endpoint("relay.example", 7707)


def test_first_use_is_new_and_every_later_one_known(tmp_path: Path) -> None:
    pins = KnownRelays(tmp_path / "made" / "known_relays")
    assert pins.check(HERE, "SHA256:a") is Trust.NEW
    assert pins.check(HERE, "SHA256:a") is Trust.KNOWN
    assert KnownRelays(tmp_path / "made" / "known_relays").check(HERE, "SHA256:a") is Trust.KNOWN


def test_file_is_plain_text_and_nothing_else_lies_beside_it(tmp_path: Path) -> None:
    pins = KnownRelays(tmp_path / "known_relays")
    pins.check(HERE, "SHA256:a")
    pins.check(Endpoint("::1", 9), "SHA256:b")
    assert (tmp_path / "known_relays").read_text() == "relay.example:7707 SHA256:a\n[::1]:9 SHA256:b\n"
    assert [path.name for path in tmp_path.iterdir()] == ["known_relays"]


def test_each_host_and_port_is_a_relay_of_its_own(tmp_path: Path) -> None:
    pins = KnownRelays(tmp_path / "known_relays")
    pins.check(HERE, "SHA256:a")
    assert pins.check(Endpoint("relay.example", 7708), "SHA256:b") is Trust.NEW
    assert pins.check(Endpoint("RELAY.example", 7707), "SHA256:a") is Trust.KNOWN


def test_other_key_than_before_names_both_and_the_line_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "known_relays"
    path.write_text("# mine\nother:7707 SHA256:x\nrelay.example:7707 SHA256:a  # the club\n")
    with pytest.raises(LocalError) as caught:
        KnownRelays(path).check(HERE, "SHA256:b")
    text = str(caught.value)
    assert "shows the key SHA256:b" in text
    assert f"line 3 of {path} says SHA256:a" in text
    assert "remove that line" in text
    assert "SHA256:b" not in path.read_text()


def test_comments_and_other_relays_survive_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "known_relays"
    path.write_text("# mine\nother:7707 SHA256:x # the club\n")
    KnownRelays(path).check(HERE, "SHA256:a")
    assert path.read_text() == "# mine\nother:7707 SHA256:x # the club\nrelay.example:7707 SHA256:a\n"


def test_damaged_line_of_this_relay_is_told_and_never_trusted(tmp_path: Path) -> None:
    path = tmp_path / "known_relays"
    path.write_text("relay.example:7707\n")
    with pytest.raises(LocalError, match=r"line 1 of .* is damaged: .*Remove that line"):
        KnownRelays(path).check(HERE, "SHA256:a")


def test_file_that_is_no_text_or_cannot_be_made_is_told(tmp_path: Path) -> None:
    path = tmp_path / "known_relays"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LocalError, match="cannot read the known relays"):
        KnownRelays(path).check(HERE, "SHA256:a")
    with pytest.raises(LocalError, match="cannot"):
        KnownRelays(path / "below").check(HERE, "SHA256:a")


def test_default_path_is_in_a_folder_of_our_own() -> None:
    assert "jamrelay" in default_path().parts
    assert default_path().name == "known_relays"
