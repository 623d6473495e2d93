"""Stock: how a missing file is looked for, fetched, kept and loaded, and which files a bridge gives to
others."""

from pathlib import Path
from random import Random

import pytest

from bridge.effects import AskFiles, Effect, SendControl, Tell, ToSynth
from bridge.file_jobs import Answer, Find, Found, Job, Keep, Part, ReadPart, Scan, Scanned
from bridge.stock.fetcher import KEEP_AGAIN_S
from bridge.stock.stock import Stock
from relay.wire.control import Chosen, Chunk, Give, Holdings, NoDonor, Want, Welcome
from relay.wire.osc import encode
from relay.wire.stock import STOCK, StockFile, files_of
from relay.wire.timetag import ticks
from tests.worlds.stock import with_content

ROOT = Path("/sonic-pi")
CONTENT, SAMPLE = Random(1).randbytes(3000), Random(2).randbytes(700)
OLD_PULSE, NEW_PULSE = Random(3).randbytes(2000), Random(4).randbytes(2004)


@pytest.fixture
def kalimba(monkeypatch: pytest.MonkeyPatch) -> StockFile:
    return with_content(monkeypatch, "synthdefs/sonic-pi-kalimba", CONTENT)[0]


@pytest.fixture
def hat(monkeypatch: pytest.MonkeyPatch) -> StockFile:
    return with_content(monkeypatch, "samples/hat_bdu.flac", SAMPLE)[0]


@pytest.fixture
def pulses(monkeypatch: pytest.MonkeyPatch) -> tuple[StockFile, ...]:
    return with_content(monkeypatch, "synthdefs/sonic-pi-pulse", OLD_PULSE, NEW_PULSE)


def stock_of_3_2(*, fetches: bool = True) -> Stock:
    """Return the stock of a bridge in a room that has read the files of its Sonic Pi 3.2.2."""
    stock = Stock(1, fetches=fetches)
    stock.take_in(welcome(), 1.0)
    stock.synthdefs_loaded(ROOT)
    stock.files_say(Scanned({one.name: one.sha256 for one in files_of("3.2.2")}))
    stock.flush(1.0, in_room=True)
    return stock


def welcome() -> Welcome:
    return Welcome(
        slot=1, name="old", ticket=bytes(16), epoch=bytes(16), channel=1, key_up=bytes(32),
        key_down=bytes(32), number=0, next_seq=1, resumed=False, lead=ticks(0.2), shift=0, horizon=0,
        members=[],
    )  # fmt: skip


def jobs(effects: list[Effect]) -> list[Job]:
    return [one.job for one in effects if isinstance(one, AskFiles)]


def said(effects: list[Effect], kind: type) -> list:
    return [one.message for one in effects if isinstance(one, SendControl) and isinstance(one.message, kind)]


def to_synth(effects: list[Effect]) -> list[bytes]:
    return [one.payload for one in effects if isinstance(one, ToSynth)]


def flush(stock: Stock, now_s: float = 2.0) -> list[Effect]:
    return stock.flush(now_s, in_room=True)


def say(stock: Stock, answer: Answer, now_s: float = 2.0) -> list[Effect]:
    stock.files_say(answer)
    return flush(stock, now_s)


def chunk(file: StockFile, data: bytes) -> Chunk:
    return Chunk(name=file.name, sha256=file.sha256, offset=0, data=data)


# -- getting ---------------------------------------------------------------------------------------------


def test_a_synthdef_is_looked_for_then_fetched_then_kept_and_loaded(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    assert stock.lacks("sonic-pi-kalimba")
    assert stock.need(kalimba.name)
    assert stock.need(kalimba.name)
    assert jobs(flush(stock)) == [Find(kalimba, ROOT)], "once"
    (want,) = said(say(stock, Found(kalimba, None)), Want)
    assert want == Want(name=kalimba.name, sha256=kalimba.sha256, offset=0)
    stock.take_in(chunk(kalimba, CONTENT), 2.0)
    effects = flush(stock)
    assert jobs(effects) == [Keep(kalimba, CONTENT)]
    assert to_synth(effects) == [encode("/d_recv", CONTENT)]
    assert stock.lacks("sonic-pi-kalimba"), "until scsynth says that it has it"
    assert stock.answers_load(is_done=True)
    assert not stock.lacks("sonic-pi-kalimba")
    (holdings,) = said(say(stock, Found(kalimba, Path("/cache/x"), kept=True)), Holdings)
    assert (kalimba.name, kalimba.sha256) in holdings.besides
    assert not stock.answers_load(is_done=True), "that one is Sonic Pi's own"


def test_other_bytes_never_reach_scsynth_or_the_disk(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    say(stock, Found(kalimba, None))
    stock.take_in(chunk(kalimba, bytes(len(CONTENT))), 2.0)
    effects = flush(stock)
    assert jobs(effects) == to_synth(effects) == []
    assert [want.spoiled for want in said(effects, Want)] == [True]


def test_a_synthdef_that_scsynth_refuses_is_still_lacking(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    assert to_synth(say(stock, Found(kalimba, Path("/cache/x"), CONTENT))) == [encode("/d_recv", CONTENT)]
    assert stock.answers_load(is_done=False)
    assert stock.lacks("sonic-pi-kalimba")


def test_a_synthdef_that_scsynth_never_answers_is_looked_for_again(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    say(stock, Found(kalimba, Path("/cache/x"), CONTENT))
    stock.need(kalimba.name)
    assert jobs(flush(stock)) == []
    flush(stock, 8.0)
    stock.need(kalimba.name)
    assert jobs(flush(stock, 8.0)) == [Find(kalimba, ROOT)]


def test_a_sample_that_has_come_is_ready_where_it_is_kept(hat: StockFile) -> None:
    stock = stock_of_3_2()
    assert stock.need(hat.name)
    say(stock, Found(hat, None))
    stock.take_in(chunk(hat, SAMPLE), 2.0)
    assert jobs(flush(stock)) == [Keep(hat, SAMPLE)]
    assert stock.ready() == []
    say(stock, Found(hat, Path("/cache/x.flac"), kept=True))
    assert stock.ready() == [(hat, Path("/cache/x.flac"))]
    assert stock.ready() == []


def test_a_sample_that_can_not_be_kept_is_not_fetched_again_and_again(hat: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(hat.name)
    say(stock, Found(hat, None))
    stock.take_in(chunk(hat, SAMPLE), 2.0)
    flush(stock)
    effects = say(stock, Found(hat, None, kept=True))
    assert any("can't be kept" in one.text for one in effects if isinstance(one, Tell))
    stock.need(hat.name)
    assert jobs(flush(stock)) == []
    assert said(flush(stock, 1.9 + KEEP_AGAIN_S), Want) == []
    assert len(said(flush(stock, 2.0 + KEEP_AGAIN_S), Want)) == 1


def test_synthdefs_in_the_cache_are_loaded_before_anybody_plays_them(
    kalimba: StockFile, hat: StockFile, pulses: tuple[StockFile, ...]
) -> None:
    stock = Stock(1, fetches=True)
    stock.synthdefs_loaded(ROOT)
    flush(stock)
    found = {one.name: one.sha256 for one in files_of("3.2.2")} | {pulses[0].name: pulses[0].sha256}
    effects = say(stock, Scanned(found, frozenset({kalimba, hat, pulses[1]})))
    assert jobs(effects) == [Find(kalimba, ROOT)], "the room hasn't decided which pulse it plays"


def test_what_is_on_no_list_can_not_be_had() -> None:
    stock = stock_of_3_2()
    assert not stock.need("samples/mine.flac")
    assert not stock.need("synthdefs/mine")
    assert jobs(flush(stock)) == []


def test_a_new_connection_asks_again_for_what_the_old_one_owed(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    assert len(said(say(stock, Found(kalimba, None)), Want)) == 1
    assert said(flush(stock), Want) == []
    stock.take_in(welcome(), 2.0)
    effects = flush(stock)
    assert len(said(effects, Want)) == len(said(effects, Holdings)) == 1


def test_nothing_is_asked_for_outside_of_a_room(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    stock.files_say(Found(kalimba, None))
    assert not any(isinstance(one, SendControl) for one in stock.flush(2.0, in_room=False))
    assert len(said(flush(stock), Want)) == 1


def test_no_donor_is_told_and_asked_again_later(kalimba: StockFile) -> None:
    stock = stock_of_3_2()
    stock.need(kalimba.name)
    say(stock, Found(kalimba, None))
    stock.take_in(NoDonor(name=kalimba.name, sha256=kalimba.sha256), 2.0)
    effects = flush(stock)
    assert [one.text for one in effects if isinstance(one, Tell)] == [
        "nobody here gives kalimba, which your Sonic Pi lacks: it is asked for again every 30 s"
    ]
    stock.need(kalimba.name)
    assert jobs(flush(stock)) == []
    assert len(said(flush(stock, 32.0), Want)) == 1


def test_progress_is_told_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    (beat,) = with_content(monkeypatch, "samples/arovane_beat_a.flac", bytes(40_000))
    stock = stock_of_3_2()
    stock.need(beat.name)
    say(stock, Found(beat, None))
    stock.take_in(Chunk(name=beat.name, sha256=beat.sha256, offset=0, data=bytes(8192)), 3.0)
    told = [one.text for at_s in range(3, 13) for one in flush(stock, float(at_s)) if isinstance(one, Tell)]
    assert told == ["fetching arovane_beat_a from another member: 20 %"] * 2


# -- with --no-fetch ---------------------------------------------------------------------------------------


def test_without_fetching_nothing_is_asked_for_and_nothing_given(kalimba: StockFile) -> None:
    stock = stock_of_3_2(fetches=False)
    assert not stock.need(kalimba.name)
    assert jobs(flush(stock)) == [Find(kalimba, ROOT)], "it may be in the cache of an earlier jam"
    assert said(say(stock, Found(kalimba, None)), Want) == []
    haus = STOCK["samples/bd_haus.flac"][0]
    stock.take_in(Give(name=haus.name, sha256=haus.sha256, offset=0), 2.0)
    effects = flush(stock)
    assert jobs(effects) == []
    assert [one.data for one in said(effects, Chunk)] == [b""]
    stock.take_in(welcome(), 2.0)
    (holdings,) = said(flush(stock), Holdings)
    assert not holdings.gives
    assert holdings.loaded, "the others must know which of two it plays"


# -- giving ------------------------------------------------------------------------------------------------


def test_a_chunk_is_read_and_sent() -> None:
    stock = stock_of_3_2()
    haus = STOCK["samples/bd_haus.flac"][0]
    stock.take_in(Give(name=haus.name, sha256=haus.sha256, offset=0), 2.0)
    assert jobs(flush(stock)) == [ReadPart(haus, ROOT, 0, min(8192, haus.size))]
    assert said(say(stock, Part(haus, 0, b"abc")), Chunk) == [chunk(haus, b"abc")]


def test_a_new_connection_is_given_nothing_that_the_old_one_asked_for() -> None:
    stock = stock_of_3_2()
    haus = STOCK["samples/bd_haus.flac"][0]
    stock.take_in(Give(name=haus.name, sha256=haus.sha256, offset=0), 2.0)
    stock.take_in(welcome(), 2.0)
    assert jobs(flush(stock)) == []


# -- which content -----------------------------------------------------------------------------------------


def chosen(file: StockFile) -> Chosen:
    return Chosen(files=[(file.name, file.sha256)])


def beside_3_2(pulses: tuple[StockFile, ...]) -> Stock:
    stock = stock_of_3_2()
    found = {one.name: one.sha256 for one in files_of("3.2.2")} | {pulses[0].name: pulses[0].sha256}
    say(stock, Scanned(found))
    return stock


def test_another_content_than_the_rooms_is_lacking_until_it_is_loaded(pulses: tuple[StockFile, ...]) -> None:
    stock = beside_3_2(pulses)
    assert not stock.lacks("sonic-pi-pulse")
    stock.take_in(chosen(pulses[1]), 2.0)
    assert stock.lacks("sonic-pi-pulse")
    assert jobs(flush(stock)) == [Find(pulses[1], ROOT)], "before anybody plays it here"
    assert to_synth(say(stock, Found(pulses[1], Path("/cache/x"), NEW_PULSE))) == [
        encode("/d_recv", NEW_PULSE)
    ]
    stock.answers_load(is_done=True)
    assert not stock.lacks("sonic-pi-pulse")
    (holdings,) = said(flush(stock), Holdings)
    assert (pulses[1].name, pulses[1].sha256) in holdings.loaded


def test_the_rooms_content_that_is_here_already_is_left_alone(pulses: tuple[StockFile, ...]) -> None:
    stock = beside_3_2(pulses)
    stock.take_in(chosen(pulses[0]), 2.0)
    assert jobs(flush(stock)) == []
    assert not stock.lacks("sonic-pi-pulse")


def test_a_sonic_pi_that_loads_its_folder_again_is_given_the_rooms_content_again(
    pulses: tuple[StockFile, ...],
) -> None:
    stock = beside_3_2(pulses)
    stock.take_in(chosen(pulses[1]), 2.0)
    flush(stock)
    say(stock, Found(pulses[1], Path("/cache/x"), NEW_PULSE))
    stock.answers_load(is_done=True)
    stock.synthdefs_loaded(ROOT)
    assert stock.lacks("sonic-pi-pulse")
    assert jobs(flush(stock)) == [Find(pulses[1], ROOT)]


def test_a_choice_of_an_unknown_content_is_ignored(pulses: tuple[StockFile, ...]) -> None:
    stock = beside_3_2(pulses)
    stock.take_in(Chosen(files=[(pulses[0].name, bytes(32))]), 2.0)
    assert jobs(flush(stock)) == []
    assert not stock.lacks("sonic-pi-pulse")


def test_files_with_an_unknown_content_are_told_by_name() -> None:
    stock = Stock(1, fetches=True)
    stock.synthdefs_loaded(ROOT)
    assert jobs(flush(stock)) == [Scan(ROOT)]
    found = {one.name: one.sha256 for one in files_of("3.2.2")} | {"synthdefs/sonic-pi-beep": bytes(32)}
    effects = say(stock, Scanned(found))
    (tell,) = [one for one in effects if isinstance(one, Tell)]
    assert tell.text.startswith("beep: on this computer")
    assert stock.named()["unlisted_files"] == 1
    (holdings,) = said(effects, Holdings)
    assert holdings.without == ["synthdefs/sonic-pi-beep"], "nobody is offered it"
