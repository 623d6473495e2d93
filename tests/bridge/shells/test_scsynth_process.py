"""The jam's scsynth: its command line, and what its output means."""

import pytest

from bridge.scsynth.id_space import AUDIO_BUS_COUNT, BUFFER_COUNT
from bridge.shells import scsynth_process as synth

SONIC_PI_3_2_2 = [
    "-u",
    "51235",
    "-a",
    "1024",
    "-m",
    "131072",
    "-D",
    "0",
    "-R",
    "0",
    "-l",
    "1",
    "-i",
    "16",
    "-o",
    "16",
]


def test_sonic_pis_flags_are_understood() -> None:
    flags = synth.parse_flags(SONIC_PI_3_2_2)
    assert (flags.host, flags.port, flags.outs, flags.ins) == ("127.0.0.1", 51235, 16, 16)
    assert flags.others == ("-D", "0", "-R", "0", "-i", "16", "-o", "16")


def test_ours_replace_the_id_spaces_and_keep_the_rest() -> None:
    words = synth.command("scsynth", synth.parse_flags(SONIC_PI_3_2_2), "127.0.0.2", 4000)
    pairs = dict(zip(words[1::2], words[2::2], strict=True))
    assert (pairs["-u"], pairs["-B"]) == ("4000", "127.0.0.2")
    assert (pairs["-a"], pairs["-b"]) == (str(AUDIO_BUS_COUNT), str(BUFFER_COUNT))
    assert (pairs["-i"], pairs["-o"], pairs["-D"]) == ("16", "16", "0")
    assert int(pairs["-l"]) > 1
    assert len(words) == 1 + 2 * len(pairs), "no flag twice"


def test_without_channel_flags_scsynths_own_defaults_count() -> None:
    flags = synth.parse_flags(["-u", "57110"])
    assert (flags.outs, flags.ins, flags.others) == (8, 8, ())


@pytest.mark.parametrize(
    "words",
    [
        ["-H", "USB Audio", "Built-in Output"],
        ["-H", "USB Audio"],
        ["-L"],
        ["-V", "-1"],
        ["-V", "-2", "-L", "-H", "in", "out", "-P", "/tmp/a b", "-U", "/one:/two", "-S", "48000"],
    ],
    ids=" ".join,
)
def test_flags_with_any_number_of_words_are_passed_on_as_they_came(words: list[str]) -> None:
    for arguments in (
        ["-u", "4556", "-a", "1024", *words],
        [*words, "-u", "4556", "-i", "2"],
        ["-i", "2", *words, "-u", "4556"],
    ):
        flags = synth.parse_flags(arguments)
        assert flags.port == 4556
        rest = [word for word in flags.others if word not in ("-i", "2")]
        assert rest == words
        assert synth.command("scsynth", flags, "127.0.0.1", 4000)[-len(flags.others) :] == list(flags.others)


def test_of_a_flag_that_is_there_twice_the_last_counts_as_it_does_for_scsynth() -> None:
    flags = synth.parse_flags(["-u", "1", "-o", "2", "-z", "64", "-u", "4556", "-o", "16", "-z", "128"])
    assert (flags.port, flags.outs) == (4556, 16)
    assert flags.others == ("-o", "2", "-z", "64", "-o", "16", "-z", "128")


@pytest.mark.parametrize(
    "arguments",
    [[], ["-a", "1024"], ["-u"], ["57110"], ["--help", "x"], ["-u", "1", "2"], ["-u", "x"]],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_refused_in_words(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match="scsynth"):
        synth.parse_flags(arguments)


def test_the_need_follows_from_the_drivers_block_size() -> None:
    line = "JackDriver: connected; sample rate = 48000.000000, driver's block size = 256"
    assert synth.latency_ms("SC_AudioDriver: sample rate = 48000.000000, driver's block size = 256") == 16.0
    assert synth.need_ms(synth.latency_ms(line)) == 24.0
    assert synth.need_ms(16.0 * 4) == 96.0
    assert synth.latency_ms(synth.READY) is None
    assert synth.need_ms(None) == synth.NEED_MS_UNKNOWN
