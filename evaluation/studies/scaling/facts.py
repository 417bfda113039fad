"""Figures of plans against runs."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, on, record, setup

README = f"{STUDIES}/scaling/README.md"
_CHOSEN = setup(README, "Tiny (30 M,", "those of runs, twice each")


def steps(preset: str) -> list[dict[str, float]]:
    """Planned and measured seconds, two layouts twice each."""
    found = record("scaling/against_runs.json")["steps"]
    return [one for one in found if one["preset"] == preset]


def times_too_fast(preset: str) -> list[float]:
    """Measured over planned seconds, least and most."""
    ratios = [one["measured_s"] / one["planned_s"] for one in steps(preset)]
    return [min(ratios), max(ratios)]


@on(README)
def links() -> Iterator[Phrase]:
    of_both = [
        {one["of"]: 100 * one["residual"] for one in record(f"scaling/{name}.json")["fits"]}
        for name in ("links", "links_tiny")
    ]
    sizes = [one["buffer_bytes"] for one in record("scaling/links.json")["points"]]
    fitted = [fits["inside all_to_all"] for fits in of_both]
    assert round(fitted[0]) == round(fitted[1])
    yield Phrase(
        "within # % (root mean square over seven sizes from # KiB to # MiB)",
        [fitted[0], min(sizes) / 2**10, max(sizes) / 2**20],
    )
    yield Phrase("within # and # %, both", [fits["inside all_reduce"] for fits in of_both])
    yield Phrase("one link within # and # %", [fits["link inside"] for fits in of_both])


@on(README)
def seconds() -> Iterator[Phrase]:
    tiny = [one["planned_s"] for one in steps("tiny")]
    yield Phrase("# s planned): a plan was", [min(tiny)])
    least, most = times_too_fast("tiny")
    yield Phrase("a plan was # to # % too fast", [100 - 100 / least, 100 - 100 / most])
    yield Phrase("planned # % apart", [100 * (max(tiny) / min(tiny) - 1)])
    nano = {(one["ep_size"], one["planned_s"]) for one in steps("nano")}
    (_, alone), (_, spread) = sorted(nano)
    yield Phrase("Nano (.9 M, # s planned)", [(alone + spread) / 2])
    yield Phrase("# to # times too fast", times_too_fast("nano"))
    measured = [[one["measured_s"] for one in steps("nano") if one["ep_size"] == n] for n in (1, 2)]
    seen = [100 * (two / one - 1) for one, two in zip(*measured, strict=True)]
    yield Phrase("planned as # %, seen as # and # %", [100 * (spread / alone - 1), *seen])
