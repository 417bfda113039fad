"""Which corpora there are: names in, cards out.

A name is that of a card in `cards/NAME.yaml`, or of a rung of a ladder in
`cards/ladders/` (see `ladders`): a family of corpora that differ from a card
in one parameter. Groups and ladders stand for all of their members. A file that is `like` another
one says only what differs.

`NAME@2` is corpus NAME as an earlier version of its card made it (`cards/earlier/`), a ladder or
rung with that the one whose base is that version: what older records were measured on can be made
again. Its trajectories go by NAME, so that tasks and models of NAME take them. `GROUP@earlier` is
every member in the version before today's, where there is one.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml

from data_shards.card import CorpusCard, Group, merged
from data_shards.config import read_yaml
from data_shards.errors import UserError, unknown_name
from data_shards.ladders import Ladder, rung_card

EVERYTHING = "all"
_VERSION, _EARLIER = "@", "earlier"
# libyaml's where there is one: ten times as fast, and lists of corpora read some sixty files.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@cache
def card_names() -> tuple[str, ...]:
    """Names of all corpora with a card of their own, sorted."""
    return _stems("cards")


@cache
def load_card(name: str) -> CorpusCard:
    """The card of a corpus or of a ladder's rung, of today or of an earlier version.

    Raises:
        UserError: no such corpus (with the nearest names), or the card is invalid.
    """
    rungs = _rungs()
    corpus, _, version = name.partition(_VERSION)
    if corpus in rungs:
        ladder, position = rungs[corpus]
        return rung_card(ladder, position, load_card(_of_version(ladder.base, version)))
    if name not in (*card_names(), *earlier_names()):
        raise unknown_name("corpus", name, [*card_names(), *earlier_names(), *rungs])
    folder = "cards/earlier" if version else "cards"
    return _named(CorpusCard.read(_values(folder, name), f"card {name}"), corpus)


def _of_version(corpus: str, version: str) -> str:
    return f"{corpus}{_VERSION}{version}" if version else corpus


def read_card(path: Path) -> CorpusCard:
    """A card of the user's own; its name is the one that it says, whatever the file is called.

    Raises:
        UserError: no such file, or the card is invalid.
    """
    return CorpusCard.read(read_yaml(path), f"card {path}")


def ladder_names() -> tuple[str, ...]:
    """Names of all ladders, sorted."""
    return _stems("cards/ladders")


@cache
def load_ladder(name: str) -> Ladder:
    """A ladder by its name.

    Raises:
        UserError: no such ladder, or it is invalid.
    """
    if name not in ladder_names():
        raise unknown_name("ladder", name, ladder_names())
    return Ladder.read(_values("cards/ladders", name), f"ladder {name}")


def expand(names: Sequence[str]) -> list[str]:
    """Corpora that names of corpora, groups, ladders or "all" stand for, each once, in order.

    "all" is every corpus with a card of its own that can be generated and forecast; the rungs
    of ladders are asked for by the ladder's name, steady problems and boxes by their own.

    Raises:
        UserError: a name that is none of these.
    """
    return list(dict.fromkeys(corpus for name in names for corpus in _expanded(name)))


def _expanded(name: str) -> list[str]:
    if name == EVERYTHING:
        cards = [load_card(corpus) for corpus in card_names()]
        return [c.name for c in cards if c.generator and c.rollout_frames and not c.is_box]
    if name in get_args(Group):
        return [corpus for corpus in card_names() if name in load_card(corpus).groups]
    if name in ladder_names():
        return load_ladder(name).rung_names()
    if name in (*card_names(), *earlier_names(), *_rungs()):
        return [name]
    corpus, _, version = name.partition(_VERSION)
    if version == _EARLIER:
        return [_before_today(member) for member in _expanded(corpus)]
    if ladder := _ladder_of(corpus) if version else None:
        rungs = [corpus] if corpus in _rungs() else ladder.rung_names()
        if _of_version(ladder.base, version) in earlier_names():
            return [_of_version(rung, version) for rung in rungs]
    known = [
        EVERYTHING,
        *card_names(),
        *earlier_names(),
        *get_args(Group),
        *ladder_names(),
        *_rungs(),
    ]
    raise unknown_name("corpus", name, known)


def _before_today(corpus: str) -> str:
    """The version before today's, by its name; the corpus itself where there is none."""
    shift = load_card(corpus).shift
    base = shift.base if shift else corpus
    versions = [int(n.partition(_VERSION)[2]) for n in earlier_names() if n.startswith(f"{base}@")]
    return _of_version(corpus, str(max(versions))) if versions else corpus


def _ladder_of(name: str) -> Ladder | None:
    """The ladder of that name, or the one of which that is a rung."""
    if name in ladder_names():
        return load_ladder(name)
    return _rungs()[name][0] if name in _rungs() else None


@cache
def earlier_names() -> tuple[str, ...]:
    """Earlier versions of corpora that can still be made, as NAME@VERSION, sorted."""
    return _stems("cards/earlier")


@cache
def _rungs() -> dict[str, tuple[Ladder, int]]:
    ladders = [load_ladder(name) for name in ladder_names()]
    return {
        rung: (ladder, position)
        for ladder in ladders
        for position, rung in enumerate(ladder.rung_names())
    }


@cache
def _stems(folder: str) -> tuple[str, ...]:
    place = files("data_shards") / folder
    names = (entry.name for entry in place.iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml")))


def _values(folder: str, name: str) -> dict[str, Any]:
    """Values of a file, merged over those of the file that it is `like`."""
    text = (files("data_shards") / folder / f"{name}.yaml").read_text()
    values: dict[str, Any] = yaml.load(text, _LOADER)
    like = values.pop("like", None)
    return merged(_values(folder, like), values) if like else values


def _named(card: CorpusCard, name: str) -> CorpusCard:
    if card.name != name:
        raise UserError(f"card {name}: its name says {card.name!r}; rename the file or the card")
    return card
