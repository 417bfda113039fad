"""Figures of the stream beside whole trajectories."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/stream/README.md"
_FRAMES = {
    "pdebench_dr": "128x128, 101", "pdebench_swe": "128x128, 101",
    "pdebench_cns_m0.1": "128x128, 21",
    "fno_ns_1e-3": "64x64, 50", "cfdbench": "64x64, 20", "fno_ns_1e-5": "64x64, 20",
}  # fmt: skip
_CHOSEN = setup(
    README,
    "A window is half of",
    "samples (10 + 1 frames of 4 channels",
    "a trajectory of 20 frames",
    *(f"| {corpus} | {stored} |" for corpus, stored in _FRAMES.items()),
)


@on(README)
def reading() -> Iterator[Row | Phrase]:
    results = record("stream/stream.json")["results"]
    for one in results:
        label = one["corpus"].replace("mixture of 6", "mixture of the six")
        yield Row("corpus", label, [one["stream"], one["whole"], one["ratio"]], columns=(2, 3, 4))
    roundings = results[-1]["float16_rounding"].values()
    yield Phrase("float16 storage rounds by # to #", [min(roundings), max(roundings)])
