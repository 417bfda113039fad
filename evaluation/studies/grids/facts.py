"""Figures of a checkpoint on finer grids than its own."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/grids/README.md"
_CHOSEN = setup(
    README,
    "4 test trajectories",
    "at the work of four (sixteen) forecasts",
    "a goal of 1.1",
    "for a quarter of the work and less",
    "are halved, or both for the own grid",
    "the means of two cells",
    "40 of NS 1e-3 for 20 above",
    "`model.head=patches model.projection=128`",
)
_PLANES = {"64x64": "own", "64x128": "wider", "128x64": "higher", "128x128": "finer"}


def errors(way: str) -> list[float]:
    """L2RE by corpus: on the model's `own` grid, or on finer cells `native` or by `regrid`."""
    found = {
        one["task"]["corpus"]: one["scores"]["l2re"]["value"]
        for one in record(f"grids/{way}.json")["records"]
    }
    return [found[corpus] for corpus in CORPORA.values()]


def over_own(cells: str = "") -> list[float]:
    """Native error over that of the own grid, by corpus; of 256 cells a side with "-256"."""
    return [a / b for a, b in zip(errors(f"native{cells}"), errors("own"), strict=True)]


def better_than_regridding(cells: str = "") -> int:
    """Corpora on which a native answer errs less."""
    pairs = zip(errors(f"native{cells}"), errors(f"regrid{cells}"), strict=True)
    return sum(native < regridded for native, regridded in pairs)


@on(README)
def finer() -> Iterator[Row | Phrase]:
    rows = {"own grid": "own", "native at 128": "native", "regridded from 128": "regrid"}
    rows |= {"native at 256": "native-256", "regridded from 256": "regrid-256"}
    for label, way in rows.items():
        yield Row("L2RE", label, errors(way))
    for cells in ("", "-256"):
        yield Row("L2RE", f"native at {cells[1:] or 128} / own", over_own(cells))
    worst = max(*over_own(), *over_own("-256"))
    yield Phrase("errs at most # times as much as on the own grid", [worst])
    better = [better_than_regridding(), better_than_regridding("-256")]
    yield Phrase("at 128 less than regridding on # of the six, at 256 on #", better)
    water = list(CORPORA).index("shallow water")
    for cells in ("", "-256"):
        assert errors(f"regrid{cells}")[water] < errors(f"native{cells}")[water]


@on(README)
def the_same_flow() -> Iterator[Row | Phrase]:
    found = record("grids/planes.json")["l2re"]
    yield Row("planes", "64x64, own grid", [one["own"]["native"] for one in found.values()])
    pairs = []
    for label, plane in list(_PLANES.items())[1:]:
        for told, way in (("native", "native"), ("regridded", "regrid")):
            yield Row("planes", f"{label}, {told}", [one[plane][way] for one in found.values()])
        pairs += [(*one[plane].values(), one["own"]["native"]) for one in found.values()]
    assert all(native <= own for native, _, own in pairs)
    less = sum(native < regridded for native, regridded, _ in pairs)
    yield Phrase("less than regridding on # of the #", [less, len(pairs)])


@on(README)
def of_a_smooth_head() -> Iterator[Row | Phrase]:
    found = record("grids/smooth-head.json")["l2re"]
    rows = {"own grid": "own", "native at 128": "native", "regridded from 128": "regrid"}
    rows |= {"native at 256": "native-256", "regridded from 256": "regrid-256"}
    for label, way in rows.items():
        yield Row("smooth head", label, [found[way][corpus] for corpus in CORPORA.values()])
    own = found["own"]
    water = [
        found[way]["pdebench_swe"] / own["pdebench_swe"]
        for way in ("native", "native-256", "regrid", "regrid-256")
    ]
    words = "native has # times the own grid's error at 128, # at 256, regridding # and #."
    yield Phrase(words, water)
    others = [c for c in own if c not in ("pdebench_swe", "pdebench_dr")]
    worst = max(found[way][c] / own[c] for way in ("native", "native-256") for c in others)
    yield Phrase("native has at most # times. So", [worst])
