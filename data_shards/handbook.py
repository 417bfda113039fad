"""Cards in words: the facts of a corpus as Markdown, and the page of all corpora.

The page is `cards/README.md`; a corpus's facts stand there, in
`foundation shards info NAME` and on the card of a shared data set.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, get_args

from data_shards.card import ChannelStatistics, CorpusCard, Group, Profile, Range, Split
from data_shards.catalogue import (
    card_names,
    earlier_names,
    ladder_names,
    load_card,
    load_ladder,
)
from data_shards.ladders import Ladder

GROUPS: dict[Group, str] = {
    "mixture_6": "the six corpora on which MoE-POT is pre-trained in the main comparison",
    "mixture_10": "the ten of its larger mixture",
    "mixture_12": "the twelve of its largest mixture",
    "downstream": "for fine-tuning: unlike anything in the mixture of six",
    "ood": "for tests outside the distribution of the mixtures",
}
_INTRODUCTION = """# The corpora

Written by `foundation shards list --markdown` from the cards beside it; a test keeps it up to
date. Every corpus is simulated here by `foundation shards generate`, or read from the files
that its authors published by `foundation shards convert`, or both.
"""

_ABOUT_LADDERS = """One parameter, rung by rung away from what is trained on; the distance is in
decades on a logarithmic ladder, in widths of the trained range on a linear one. A rung is the
corpus `LADDER_VALUE`.
"""

_ABOUT_EARLIER = """What a card generated before its last change, bit for bit, for records of that
time: `foundation shards generate NAME@VERSION`. Trajectories go by the name without the version.
"""

_ABOUT_COSTS = """Against a run on a finer grid with a smaller step: relative L2 distance of the
worst channel, over all frames and in the last one. Seconds of one core. The figures are those of
one or two trajectories;
[what to know when reading them](../../evaluation/studies/generators/README.md).
"""


def page(costs: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page of all corpora, groups and ladders.

    Args:
        costs: records of what generators cost and how accurate they are, as `foundation shards
            accuracy` writes them; none leaves the table out.
    """
    cards = [load_card(name) for name in card_names()]
    parts = [_INTRODUCTION, overview(cards), _groups(cards)]
    ladders = [load_ladder(name) for name in ladder_names()]
    if ladders:
        parts.append(_ladders(ladders))
    if earlier_names():
        parts.append(_earlier())
    if costs:
        parts.append(_costs(costs))
    return "\n".join([*parts, *(f"## {card.name}\n\n{facts(card)}" for card in cards)])


def overview(cards: Sequence[CorpusCard]) -> str:
    """One line per corpus."""
    header = (
        "corpus", "equations", "channels", "grid", "frames", "predicted",
        "train / validation / test", "generator", "reader",
    )  # fmt: skip
    rows = [
        (
            f"[`{card.name}`](#{anchor(card.name)})",
            card.pde,
            ", ".join(card.channel_names) + (", obstacle" if card.mask_as_channel else ""),
            grid_text(card.native_grid),
            str(card.frames),
            str(card.rollout_frames),
            splits_text(card.splits),
            card.generator or "-",
            card.published.reader if card.published else "-",
        )
        for card in cards
    ]
    return table(header, rows)


def facts(
    card: CorpusCard,
    statistics: Sequence[ChannelStatistics] = (),
    origin: Sequence[str] | None = None,
) -> str:
    """Everything that a card says, as Markdown without a heading.

    Args:
        card: of the corpus.
        statistics: of the data at hand; the card's own if there are none.
        origin: lines on where the data at hand come from and what holds for them, in place of all
            ways to make the corpus, its source and its licence.
    """
    shown = statistics or card.statistics
    parts = [
        f"{card.title}.\n",
        f"{card.pde[0].upper()}{card.pde[1:]}: {card.equation}\n",
        _fields(card, shown),
    ]
    if shown and not statistics:
        parts.append("Statistics of the training split of the small profile.\n")
    if card.parameters:
        parts.append(_parameters(card.parameters))
    if origin is None:
        origin = [*_ways(card), f"Source: {card.source}", f"Licence: {card.license}"]
    lines = [*_lines(card), *origin, f"Citation: {card.citation}"]
    return "\n".join([*parts, *(f"- {line}" for line in lines), ""])


def grid_text(grid: Iterable[int]) -> str:
    """A grid as "128 x 128"; a single row is one dimension."""
    cells = tuple(grid)
    return " x ".join(map(str, cells[1:] if cells[0] == 1 and len(cells) == 2 else cells))


def splits_text(splits: Mapping[Split, int]) -> str:
    """Trajectories of the three splits as "900 / 40 / 60"."""
    return " / ".join(str(splits.get(split, 0)) for split in get_args(Split))


def anchor(heading: str) -> str:
    """Where a heading of one word is found on its page: dots vanish."""
    return heading.lower().replace(".", "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _fields(card: CorpusCard, statistics: Sequence[ChannelStatistics]) -> str:
    known = {values.name: values for values in statistics}
    header = ["field", "unit", *(["mean", "std", "min", "max"] if known else [])]
    rows = []
    for channel in card.channels:
        row = [channel.name, channel.unit]
        if known:
            values = known.get(channel.name)
            row += (
                ["-"] * 4
                if values is None
                else [f"{n:.4g}" for n in (values.mean, values.std, values.min, values.max)]
            )
        rows.append(row)
    return table(header, rows)


def _parameters(parameters: Mapping[str, Range]) -> str:
    rows = [
        (name, _span(limits.low, limits.high), limits.unit) for name, limits in parameters.items()
    ]
    return table(("parameter", "range", "unit"), rows)


def _span(low: float, high: float) -> str:
    ends = f"{low:g}", f"{high:g}"
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _lines(card: CorpusCard) -> Iterable[str]:
    yield f"Domain: {_domain(card)}; boundary: {_boundary(card)}"
    yield f"Grid: {grid_text(card.native_grid)}; {_frames(card)}"
    if card.staggered:
        faces = ", ".join(f"{name} along {axis}" for name, axis in card.staggered.items())
        yield f"Staggered, on the lower faces of the cells: {faces}; all else at the centres"
    obstacle = "; the obstacle mask follows as a channel" if card.mask_as_channel else ""
    yield f"Protocol: {protocol_text(card)}{obstacle}"
    yield f"Full size: {splits_text(card.splits)} trajectories (train / validation / test)"
    if card.groups:
        yield f"Groups: {', '.join(card.groups)}"
    if card.shift:
        yield (
            f"Rung of ladder {card.shift.ladder}: {card.shift.parameter} {card.shift.value:g}, "
            f"distance {card.shift.distance:.3g} from what is trained on"
        )


def protocol_text(card: CorpusCard) -> str:
    """Which frames are given and which predicted, in words."""
    if not card.rollout_frames:
        return "steady, nothing is forecast" if card.frames == 1 else "nothing is forecast"
    given = "1 frame is" if card.context_frames == 1 else f"{card.context_frames} frames are"
    predicted = "1 is" if card.rollout_frames == 1 else f"{card.rollout_frames} are"
    return f"{given} given, {predicted} predicted"


def _ways(card: CorpusCard) -> Iterable[str]:
    """How a corpus is made: simulated, read, or both."""
    if card.generator:
        yield f"Generator: {card.generator}"
        for name, profile in card.profiles.items():
            yield f"Profile {name}: {_profile(card, profile)}"
    if card.published:
        yield from _published(card)


def _frames(card: CorpusCard) -> str:
    if card.frames == 1:
        return "one frame, a steady state"
    step = "their interval differs" if card.dt_s is None else f"{card.dt_s:g} apart"
    return f"{card.frames} frames, {step}"


def _domain(card: CorpusCard) -> str:
    if card.extent is None:
        return "differs between trajectories"
    sides = list(zip(card.extent[::2], card.extent[1::2], strict=True))
    if card.native_grid[0] == 1 and len(card.native_grid) == 2:
        sides = sides[:1]
    return " x ".join(f"[{low:g}, {high:g}]" for low, high in sides)


def _boundary(card: CorpusCard) -> str:
    if card.boundary is None:
        return "differs between trajectories"
    sides = {side: kind for side, kind in card.boundary.items() if kind != "uniform"}
    kinds = set(sides.values())
    if len(kinds) == 1:
        return str(kinds.pop())
    return ", ".join(f"{side} {kind}" for side, kind in sides.items())


def _profile(card: CorpusCard, profile: Profile) -> str:
    counts = card.splits if profile.trajectories is None else profile.trajectories
    changed = ", ".join(
        f"{key} with ranges of its own" if isinstance(value, dict) else f"{key} {value}"
        for key, value in profile.generator_options.items()
    )
    grid = grid_text(card.grid(profile.resolution))
    return f"{grid}, {splits_text(counts)} trajectories" + (f"; {changed}" if changed else "")


def _published(card: CorpusCard) -> Iterable[str]:
    published = card.published
    assert published is not None
    names = ", ".join(f"`{file.name}`" for file in published.files) or "see the reader"
    where = f", at <{published.url}>" if published.url else ""
    yield f"Published files: {names}{where}, read by {published.reader}"
    if published.splits:
        slices = (
            f"{split} [{'' if start is None else start}:{'' if stop is None else stop}]"
            for split, (start, stop) in published.splits.items()
        )
        yield f"Their splits, in file order: {', '.join(slices)}"


def _groups(cards: Sequence[CorpusCard]) -> str:
    rows = []
    for group, meaning in GROUPS.items():
        members = [f"`{card.name}`" for card in cards if group in card.groups]
        if members:
            rows.append((f"`{group}`", meaning, ", ".join(members)))
    return "## Groups\n\n" + table(("group", "what it is", "corpora"), rows)


def _ladders(ladders: Sequence[Ladder]) -> str:
    rows = [
        (
            f"`{ladder.name}`",
            ladder.title,
            f"`{ladder.base}`",
            ladder.parameter,
            ", ".join(f"{value:g}" for value in ladder.trained),
            ", ".join(f"{r.value:g} ({ladder.distance(r.value):.2g})" for r in ladder.rungs),
            splits_text(ladder.splits),
        )
        for ladder in ladders
    ]
    header = ("ladder", "title", "base", "parameter", "trained", "rungs (distance)", "trajectories")
    return f"## Ladders\n\n{_ABOUT_LADDERS}\n{table(header, rows)}"


def _earlier() -> str:
    names = earlier_names()
    rows = [(f"`{name}`", load_card(name).title, _options(load_card(name))) for name in names]
    return f"## Earlier versions\n\n{_ABOUT_EARLIER}\n{table(('corpus', 'title', 'differs'), rows)}"


def _options(card: CorpusCard) -> str:
    """Options of the generator that today's card has otherwise."""
    today = load_card(card.name).generator_options
    changed = {k: v for k, v in card.generator_options.items() if today.get(k) != v}
    return ", ".join(f"{key}: {value}" for key, value in changed.items())


def _costs(records: Sequence[Mapping[str, Any]]) -> str:
    """Mean seconds and errors of the worst channel, per corpus and profile."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        measured = f"{record['corpus']}@{record.get('version')}"
        name = measured if measured in earlier_names() else record["corpus"]
        key = (name, record["profile"], record["generator"], str(record["resolution"]))
        groups.setdefault(key, []).append(record)
    rows = [
        (
            *key,
            str(len(members)),
            f"{fmean(record['seconds'] for record in members):.2g}",
            f"{fmean(max(record['error'].values()) for record in members):.2g}",
            f"{fmean(max(record['error_last'].values()) for record in members):.2g}",
        )
        for key, members in groups.items()
    ]
    header = (
        "corpus", "profile", "generator", "cells along x", "trajectories", "seconds per trajectory",
        "error", "error of the last frame",
    )  # fmt: skip
    return f"## What the generators cost and how accurate they are\n\n{_ABOUT_COSTS}\n" + table(
        header, rows
    )
