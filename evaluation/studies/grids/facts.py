"""Figures of a checkpoint on finer grids than its own."""

from collections.abc import Iterable, Iterator

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/grids/README.md"
_OTHER_START = "diffusion-reaction"  # noise per cell
_CHOSEN = setup(
    README,
    "4 test trajectories",
    "goal of 1.1",
    "for twice the cells a side",
    "of twice as many cells along one axis",
    "at 128x128 are halved, or both",
    "40 of NS 1e-3 for 20 above",
)


def errors(way: str, corpora: Iterable[str] = CORPORA) -> list[float]:
    """L2RE by corpus: on the model's `own` grid, or on finer cells `native` or by `regrid`."""
    found = {
        one["task"]["corpus"]: one["scores"]["l2re"]["value"]
        for one in record(f"grids/{way}.json")["records"]
    }
    return [found[CORPORA[corpus]] for corpus in corpora]


def over_own() -> list[float]:
    """Native error over that of the own grid, by corpus."""
    return [native / own for native, own in zip(errors("native"), errors("own"), strict=True)]


def worst_of_alike() -> float:
    """The largest of them where physics and start are the same."""
    return max(r for name, r in zip(CORPORA, over_own(), strict=True) if name != _OTHER_START)


def better_than_regridding() -> int:
    """Corpora on which a native answer errs less, by more than the digits that are shown."""
    pairs = zip(errors("native"), errors("regrid"), strict=True)
    return sum(native < 0.999 * regridded for native, regridded in pairs)


@on(README)
def finer() -> Iterator[Row | Phrase]:
    for label, way in (("own grid", "own"), ("native at 128", "native"),
                       ("regridded", "regrid")):  # fmt: skip
        yield Row("L2RE", label, errors(way))
    yield Row("L2RE", "native / own", over_own())
    yield Phrase("errs at most # times as much as on the own grid", [worst_of_alike()])
    yield Phrase("less than regridding on # of six", [better_than_regridding()])


@on(README)
def twice_along_one_axis() -> Iterator[Row | Phrase]:
    found = record("grids/rectangles.json")["l2re"]
    worst, better, worse = 0.0, 0, 0
    yield Row("planes", "64x64, own grid", [one["64x64"]["native"] for one in found.values()])
    for plane in ("64x128", "128x64"):
        for label, way in (("native", "native"), ("regridded", "regrid")):
            yield Row("planes", f"{plane}, {label}", [one[plane][way] for one in found.values()])
        worst = max(
            worst, *(one[plane]["native"] / one["64x64"]["native"] for one in found.values())
        )
        better += sum(one[plane]["native"] < 0.999 * one[plane]["regrid"] for one in found.values())
        worse += sum(one[plane]["native"] > 1.001 * one[plane]["regrid"] for one in found.values())
    assert worse == 0
    yield Phrase("at most # times the own grid's error", [worst])
    yield Phrase("less than regridding on # of the 8", [better])


@on(README)
def four_times_finer() -> Iterator[Row]:
    for label, way in (("own grid", "own"), ("native at 256", "native"), ("regridded", "regrid")):
        yield Row("L2RE, 2 trajectories", label, errors(f"{way}-256", ("NS 1e-3", "shallow water")))
