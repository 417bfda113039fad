"""Who hangs: what ranks say in, a verdict that names one out."""

import socket
import threading
from typing import Any

import pytest

from foundation.parallel import pulse as module
from foundation.parallel.pulse import Pulse, Verdicts

LIMIT_S = 10.0


def heard(*times: tuple[float, dict[int, str]], world: int = 3) -> Verdicts:
    """Verdicts that are asked for after every hearing, as `Pulse` does; all are good."""
    verdicts = Verdicts(world, LIMIT_S, 0.0)
    for now, said in times:
        verdicts.hear(said, now)
        assert verdicts.verdict(now) is None
    return verdicts


def beats(*ranks: int, at: int, moves: int = 1) -> dict[int, str]:
    return dict.fromkeys(ranks, f"{at} {moves} computes step 7")


def test_a_silent_rank_is_named_with_where_it_was():
    verdicts = heard(
        *((float(t), beats(0, 1, 2, at=t, moves=t)) for t in range(4)),
        *((float(t), beats(0, 2, at=t, moves=3)) for t in range(4, 13)),
    )
    verdicts.hear(beats(0, 2, at=14), 14.0)
    assert verdicts.verdict(14.0) == "no sign of life for 11 s: rank 1 (computes step 7)"
    assert verdicts.speaker(14.0) == 0


def test_a_rank_that_never_came_is_named():
    verdicts = heard(*((float(t), beats(0, at=t, moves=t)) for t in range(10)), world=2)
    verdicts.hear(beats(0, at=11), 11.0)
    assert verdicts.verdict(11.0) == "no sign of life for 11 s: rank 1 (was never heard)"


def test_the_first_rank_is_named_when_its_store_does_not_answer():
    verdicts = heard(*((float(t), beats(0, 1, 2, at=t)) for t in range(3)))
    for now in (6.0, 10.0, 12.0):
        assert verdicts.verdict(now) is None
    assert verdicts.verdict(13.0) == "rank 0 has given no sign of life for 11 s"
    assert verdicts.speaker(13.0) == 1


def test_ranks_that_speak_and_do_not_get_on_are_told_with_where_they_are():
    said = {0: "computes step 7", 1: "waits for samples of step 7"}
    verdicts = heard(
        *((float(t), {r: f"{t} 5 {where}" for r, where in said.items()}) for t in range(11)),
        world=2,
    )
    verdicts.hear({r: f"11 5 {where}" for r, where in said.items()}, 11.0)
    assert verdicts.verdict(11.0) == (
        "no rank has got on for 11 s: rank 0 computes step 7; rank 1 waits for samples of step 7"
    )


def test_one_that_gets_on_excuses_those_that_wait_for_it():
    """As the first one does that verifies shards for an hour."""
    said = ((float(t), beats(0, at=t, moves=t) | beats(1, 2, at=t)) for t in range(100))
    assert heard(*said).verdict(99.0) is None


def test_one_that_has_left_is_not_missed():
    said = ((float(t), {**beats(0, 2, at=t, moves=t), 1: "left"}) for t in range(30))
    assert heard(*said).verdict(29.0) is None


def test_a_job_that_was_stopped_as_a_whole_goes_on():
    """A scheduler may suspend it for hours; nobody hangs then."""
    verdicts = heard((0.0, beats(0, 1, 2, at=0)))
    assert verdicts.verdict(3600.0) is None
    verdicts.hear(beats(0, 1, 2, at=1), 3600.5)
    assert verdicts.verdict(3601.0) is None


def test_the_end_of_the_first_rank_ends_the_others_after_a_moment():
    verdicts = heard((0.0, beats(0, 1, 2, at=0)))
    verdicts.lose_store(1.0)
    assert verdicts.verdict(2.0) is None
    assert verdicts.verdict(5.0) is None
    assert verdicts.verdict(6.5) == "rank 0 has ended before the others"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two ranks, the other of which never comes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    values = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_a_pulse_ends_its_process_with_one_line(alone, capfd):
    left, codes = threading.Event(), []

    def leave(code: int) -> Any:
        codes.append(code)
        left.set()

    with Pulse(0.6, leave) as pulse:
        pulse.at("waits for the others")
        assert left.wait(10)
    assert codes[0] == module.HUNG
    line = capfd.readouterr().err.splitlines()[0]
    assert line.startswith("stopped: no sign of life for 1 s: rank 1 (was never heard)")
