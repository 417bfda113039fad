"""Figures of the stream beside whole trajectories."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Row, on, record


@on(f"{STUDIES}/stream/README.md")
def reading() -> Iterator[Row]:
    for one in record("stream/stream.json")["results"]:
        values = [one["stream"], one["whole"], one["ratio"]]
        corpus = one["corpus"]
        label = corpus.replace("mixture of 6", "mixture of the six")
        yield Row("corpus", label, values, columns=(2, 3, 4))
