"""The plan of a training stream: global sample number in, (corpus, trajectory, start) out.

A pure function: no state, no generator. The stream of a run is cut into blocks
in which every corpus has its exact quota, spread as evenly as can be (Tijdeman's
chairman assignment, 1980: in any prefix each corpus is within one sample of its
share). A corpus's draws walk through a fresh keyed permutation of its
trajectories per pass; start frames come from a hash of the draw's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from data_shards.config import Config
from data_shards.errors import UserError, unknown_name
from data_shards.hashing import WORD, hashes, keyed, mix

MAX_BLOCK = 1 << 14  # longest block; finer weights are rounded to 1 / MAX_BLOCK


class MixtureConfig(Config):
    """How often each corpus is drawn, and the seed of everything random in the order.

    `balanced`: all alike. `proportional`: by number of trajectories. A mapping: by the given
    relative weights, one for every corpus of the run.
    """

    weights: Literal["balanced", "proportional"] | dict[str, PositiveFloat] = "balanced"
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """What the plan has to know of a corpus."""

    name: str
    trajectories: int
    starts: int  # windows that fit into a trajectory: start frames 0 .. starts - 1


class SampleId(NamedTuple):
    """One window of one trajectory."""

    corpus: int  # position in the run's list
    trajectory: int
    start: int


@dataclass(frozen=True)
class _Block:
    """Order of the corpora within one block, and each position's rank within its corpus."""

    corpora: tuple[int, ...]
    ranks: tuple[int, ...]


class MixturePlan:
    """`sample(i)` for every i >= 0; amortised constant time.

    A corpus's own sequence of draws depends on the seed and its name alone, so
    adding a corpus to a run does not reorder the others.
    """

    def __init__(self, sources: Sequence[Source], config: MixtureConfig) -> None:
        """Plan over corpora.

        Raises:
            UserError: no corpus, one named twice or without windows, or weights that do not
                name exactly the corpora of the run.
        """
        _check(sources, config)
        self.sources = tuple(sources)
        self.config = config
        self.quotas = block_quotas(sources, config)
        self.block_length = sum(self.quotas)
        self._seed = keyed("mixture", config.seed)
        self._keys = [keyed(source.name, config.seed) for source in sources]
        # Caches per plan: a few blocks and permutations serve all neighbours of a sample.
        self._block = lru_cache(maxsize=8)(self._plan_block)
        self._permutation = lru_cache(maxsize=4 * len(sources))(self._plan_permutation)

    def __reduce__(self) -> tuple[type["MixturePlan"], tuple[object, ...]]:
        return MixturePlan, (self.sources, self.config)  # caches stay behind

    def sample(self, global_index: int) -> SampleId:
        """The window that the run's sample number `global_index` shows."""
        number, position = divmod(global_index, self.block_length)
        block = self._block(number)
        corpus = block.corpora[position]
        draw = number * self.quotas[corpus] + block.ranks[position]
        source = self.sources[corpus]
        once, place = divmod(draw, source.trajectories)
        trajectory = int(self._permutation(corpus, once)[place])
        start = mix(self._keys[corpus] ^ mix(draw)) * source.starts >> 64
        return SampleId(corpus, trajectory, start)

    def _plan_block(self, number: int) -> _Block:
        key = mix(self._seed ^ mix(number))
        ties = sorted(range(len(self.quotas)), key=lambda k: mix(key ^ mix(k)))
        corpora = chairman_assignment(self.quotas, ties)
        seen = [0] * len(self.quotas)
        ranks = []
        for corpus in corpora:
            ranks.append(seen[corpus])
            seen[corpus] += 1
        return _Block(tuple(corpora), tuple(ranks))

    def _plan_permutation(self, corpus: int, once: int) -> NDArray[np.int64]:
        key = mix(self._keys[corpus] + mix(~once & WORD))
        return np.argsort(hashes(key, self.sources[corpus].trajectories), kind="stable")


def block_quotas(sources: Sequence[Source], config: MixtureConfig) -> tuple[int, ...]:
    """Samples of each corpus in one block: the weights as the smallest whole numbers.

    Weights that would need a block longer than `MAX_BLOCK` are rounded to it by largest
    remainder.

    Raises:
        UserError: a weight is too small to get one sample in the longest block.
    """
    shares = _relative_weights(sources, config)
    scale = lcm(*(share.denominator for share in shares))
    if scale > MAX_BLOCK:
        exact = [share * MAX_BLOCK for share in shares]
        quotas = [int(e) for e in exact]
        by_remainder = sorted(range(len(exact)), key=lambda k: quotas[k] - exact[k])
        for k in by_remainder[: MAX_BLOCK - sum(quotas)]:
            quotas[k] += 1
    else:
        quotas = [int(share * scale) for share in shares]
    for source, quota in zip(sources, quotas, strict=True):
        if quota == 0:
            raise UserError(
                f"mixture: the weight of {source.name} is below 1/{MAX_BLOCK} of the whole; "
                "raise it or leave the corpus out"
            )
    return tuple(quotas)


def chairman_assignment(quotas: Sequence[int], ties: Sequence[int]) -> list[int]:
    """Order of one block: each prefix holds every corpus within one sample of its share.

    Among the corpora that have fallen behind, the one that must come soonest is next
    (Tijdeman 1980). The sequence repeats without losing the bound, as quotas are exact.

    Args:
        quotas: samples per corpus (K,), positive.
        ties: order of the corpora in which ties are settled, a permutation of 0 .. K - 1.

    Returns:
        Corpus of every position, sum(quotas) of them.
    """
    if max(quotas) == 1:  # all alike: any order will do
        return list(ties)
    length, slack = sum(quotas), max(2 * len(quotas) - 2, 1)
    counts = [0] * len(quotas)
    order = []
    for step in range(1, length + 1):
        behind = [k for k in ties if slack * (quotas[k] * step - counts[k] * length) >= length]
        chosen = min(behind, key=lambda k: (slack * (counts[k] + 1) - 1) / quotas[k])
        counts[chosen] += 1
        order.append(chosen)
    return order


def _relative_weights(sources: Sequence[Source], config: MixtureConfig) -> list[Fraction]:
    """Shares that add up to one, exact: a weight of 0.1 means one tenth."""
    if config.weights == "balanced":
        weights = [Fraction(1)] * len(sources)
    elif config.weights == "proportional":
        weights = [Fraction(source.trajectories) for source in sources]
    else:
        weights = [Fraction(str(config.weights[source.name])) for source in sources]
    total = sum(weights, Fraction(0))
    return [weight / total for weight in weights]


def _check(sources: Sequence[Source], config: MixtureConfig) -> None:
    names = [source.name for source in sources]
    if not names:
        raise UserError("mixture: no corpus; name at least one")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"mixture: corpus {name} is named twice; name it once")
    for source in sources:
        if source.trajectories < 1 or source.starts < 1:
            raise UserError(
                f"mixture: corpus {source.name} has {source.trajectories} trajectories with "
                f"{source.starts} windows each; shorten the window or leave the corpus out"
            )
    if isinstance(config.weights, dict):
        for name in config.weights:
            if name not in names:
                raise unknown_name("corpus in mixture weights", name, names)
        if missing := [name for name in names if name not in config.weights]:
            raise UserError(
                f"mixture weights: none for {', '.join(missing)}; give one or leave the corpus out"
            )
