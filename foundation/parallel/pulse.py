"""Signs of life of the ranks of a job: if one hangs, the job ends and names it.

A process group ends a collective that lasts too long, but does not say for whom it waits; gloo and
NCCL do so in different ways, and neither tells a rank that hangs from one that verifies shards for
an hour. So a thread of every rank says every few seconds how far its rank is, in the job's store,
and listens to the others. Two kinds of end:

    silent   a rank's thread says nothing: it is stopped, or its machine is
    stuck    all speak, and nobody has got on: the line says where each of them is

The store is in the first rank's process: where it does not answer, that rank is the silent one.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import torch.distributed as dist

HUNG = 1  # exit code
_LEFT = "left"
_SEE_OFF_S = 1.0
_GRACE_S = 5.0  # between the end of the first rank and that of the others


@dataclass
class _Heard:
    """What a rank has said last, and since when it has said that."""

    words: str = ""
    spoke_s: float = 0.0
    moved_s: float = 0.0

    @property
    def where(self) -> str:
        return self.words.split(" ", 2)[-1] or "was never heard"

    @property
    def moves(self) -> str:
        return " ".join(self.words.split(" ", 2)[1:])

    def hear(self, words: str, now: float) -> None:
        before = self.moves
        if words != self.words:
            self.words, self.spoke_s = words, now
            if self.moves != before:
                self.moved_s = now


class Verdicts:
    """What is heard in, what is wrong with the job out; knows neither threads nor stores."""

    def __init__(self, world: int, limit_s: float, now: float) -> None:
        """Listen from now on; times are those of one monotonic clock."""
        self._limit_s = limit_s
        self._ranks = [_Heard(spoke_s=now, moved_s=now) for _ in range(world)]
        self._answered = self._looked = now
        self._gone: float | None = None

    def hear(self, said: dict[int, str], now: float) -> None:
        """Words by rank, as the store has them: "BEAT MOVES WHERE", or `left`."""
        self._answered = now
        for rank, words in said.items():
            self._ranks[rank].hear(words, now)

    def lose_store(self, now: float) -> None:
        """The first rank's process has ended."""
        self._gone = now

    def verdict(self, now: float) -> str | None:
        """Why the job is to end, None if it is not."""
        self._forgive_sleep(now)
        if self._gone is not None and now - self._gone > _GRACE_S:
            return "rank 0 has ended before the others"
        if now - self._answered > self._limit_s:
            return f"rank 0 has given no sign of life for {now - self._answered:.0f} s"
        heard = self._answered  # of what came after nobody knows
        at_work = {r: rank for r, rank in enumerate(self._ranks) if rank.words != _LEFT}
        silent = [r for r, rank in at_work.items() if heard - rank.spoke_s > self._limit_s]
        if silent:
            told = "; ".join(f"rank {r} ({at_work[r].where})" for r in silent)
            since = max(heard - at_work[r].spoke_s for r in silent)
            return f"no sign of life for {since:.0f} s: {told}"
        moved = max((rank.moved_s for rank in at_work.values()), default=heard)
        if heard - moved > self._limit_s:
            told = "; ".join(f"rank {r} {rank.where}" for r, rank in at_work.items())
            return f"no rank has got on for {heard - moved:.0f} s: {told}"
        return None

    def speaker(self, now: float) -> int:
        """The first rank that is not silent: the one to tell."""
        if now - self._answered > self._limit_s or self._gone is not None:
            return 1
        spoke = (self._answered - rank.spoke_s for rank in self._ranks)
        return next((r for r, ago in enumerate(spoke) if ago <= self._limit_s), 0)

    def _forgive_sleep(self, now: float) -> None:
        """Whoever listens was stopped himself, maybe with the whole job: all get a new start."""
        if now - self._looked > self._limit_s / 2:
            self._answered = now
            for rank in self._ranks:
                rank.spoke_s = rank.moved_s = now
        self._looked = now


class Pulse:
    """This rank's signs of life; a context, in which they are given and listened to."""

    def __init__(self, limit_s: float, leave: Callable[[int], Any] = os._exit) -> None:
        """Nothing is started yet; for the ranks that the launcher's environment announces.

        Args:
            limit_s: seconds without a sign after which a rank hangs.
            leave: ends this process, whatever its main thread does.
        """
        self._rank = int(os.environ.get("RANK", "0"))
        self._world = int(os.environ.get("WORLD_SIZE", "1"))
        self._limit_s, self._leave = limit_s, leave
        self._interval_s = min(10.0, limit_s / 20)
        self._beat, self._moves, self._where = 0, 0, "starts"
        self._ended = threading.Event()
        self._verdicts = Verdicts(self._world, limit_s, time.monotonic())
        self._threads = [
            threading.Thread(target=target, name="pulse", daemon=True)
            for target in (self._speak, self._judge)
        ]

    def at(self, where: str) -> None:
        """This rank has got on, and is here: "computes step 41"."""
        self._moves += 1
        self._where = where

    def __enter__(self) -> Self:
        if self._world > 1:
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._world > 1:
            self._threads[0].join(2 * _SEE_OFF_S)  # if the store answers, it says that we leave

    def _speak(self) -> None:
        """Say where we are, hear where others are; a store that is stopped stops this thread."""
        known: set[int] = set()
        try:
            store = _store(self._rank, self._limit_s)
            while True:
                ended = self._ended.wait(self._interval_s)
                self._beat += 1
                words = _LEFT if ended else f"{self._beat} {self._moves} {self._where}"
                store.set(_key(self._rank), words)
                if ended:
                    self._see_off(store)
                    return
                known |= {r for r in range(self._world) if r in known or store.check([_key(r)])}
                said = store.multi_get([_key(r) for r in sorted(known)])
                heard = {r: w.decode() for r, w in zip(sorted(known), said, strict=True)}
                self._verdicts.hear(heard, time.monotonic())
        except RuntimeError:  # torch's are of this kind: the first rank has ended, or never came
            self._verdicts.lose_store(time.monotonic())

    def _see_off(self, store: Any) -> None:
        """The store goes with the first rank: it leaves last, if the others are leaving too."""
        others = [_key(rank) for rank in range(1, self._world)]
        until = time.monotonic() + _SEE_OFF_S
        while self._rank == 0 and time.monotonic() < until and store.check(others):
            if all(words.decode() == _LEFT for words in store.multi_get(others)):
                return
            time.sleep(0.02)

    def _judge(self) -> None:
        while not self._ended.wait(self._interval_s):
            now = time.monotonic()
            why = self._verdicts.verdict(now)
            if why is None:
                continue
            if self._rank == self._verdicts.speaker(now):
                with contextlib.suppress(OSError):
                    print(f"stopped: {why}; go on with --resume", file=sys.stderr, flush=True)
            else:
                self._ended.wait(2 * self._interval_s)  # whoever leaves first ends the others
            self._leave(HUNG)


def _key(rank: int) -> str:
    return f"pulse/{rank}"


def _store(rank: int, limit_s: float) -> Any:
    """An own connection to the store that the process group will use, or uses; see env://."""
    elsewhere = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun holds it
    return dist.TCPStore(  # type: ignore[attr-defined]  # public all the same
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=rank == 0 and not elsewhere,
        timeout=timedelta(seconds=limit_s),
        wait_for_workers=False,
        multi_tenant=True,  # the process group's own, made later, is the same one
    )
