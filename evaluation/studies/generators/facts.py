"""Figures of what the generators cost, and how accurate they are."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, numbers_in, on, record, setup

README = f"{STUDIES}/generators/README.md"
_CHOSEN = setup(
    README,
    "on a twice finer grid",
    "at a hundredth of its tolerance",
    "with twice the cells in every pore",
    "sheds for 40 to 50 flow times",
    "that is 1 % off is another",
    "eta = zeta = 0.1",
    "(64 against 128 cells,",
    "one coarse flow 1.5 times before",
    "(a test over 8 times)",
    "sorption in 32 frames",
    "to its 1e-8",
    "vorticity of 1e-3",
    "128 cells instead of 64",
)


@on(README)
def thick_gases() -> Iterator[Phrase]:
    found = record("generators/accuracy.json")["records"]
    seconds = [one["refined_seconds"] for one in found if one["corpus"].endswith("eta0.1")]
    yield Phrase("# and # s for the latter", seconds)


@on(README)
def sorption() -> Iterator[Phrase]:
    found = record("generators/accuracy.json")["records"]
    errors = [one["error"]["u"] for one in found if one["corpus"].startswith("sorption_")]
    for error in errors:
        yield Phrase("sorption is # off", [error])


@on(README)
def boxes() -> Iterator[Phrase]:
    """Bounds that tests hold."""
    channel = numbers_in("tests/data_shards/generate/test_open_channel.py")
    assert {0.2, 0.15} <= channel
    yield Phrase("the work within # %", [20])
    yield Phrase("the second half that of the first within # %", [15])
    assert {0.02, 24} <= numbers_in("tests/data_shards/generate/test_box_flow.py")
    yield Phrase("within # % at # cells", [2, 24])
