"""Figures of six, ten and twelve corpora."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, fixed, on, setup, standings_of, wins_of

_CHOSEN = setup(
    f"{STUDIES}/mixtures/README.md", "mixtures of 6, 10 and 12 corpora", "PDEArena have 14 frames"
)


@on(f"{STUDIES}/mixtures/README.md")
def mixtures() -> Iterator[str]:
    standings = standings_of("mixtures/study.json")
    mean = {key: one["geometric_mean"]["mean"] for key, one in standings.items()}
    pairs = [
        " against ".join(fixed(mean[model, f"mixture_{n}"]) for model in ("MoE-POT", "DPOT"))
        for n in (6, 10, 12)
    ]
    six, ten, twelve = pairs
    yield f"geometric mean of the six errors {six} (6 corpora), {ten} (10), {twelve} (12)"
    better = [
        wins_of("mixtures/study.json", "MoE-POT", "DPOT", f"mixture_{n}")["better"]
        for n in (6, 10, 12)
    ]
    yield f"better on {better[0]}, {better[1]} and {better[2]} of the six"
    lost = [mean[m, "mixture_12"] / mean[m, "mixture_10"] for m in ("MoE-POT", "DPOT")]
    yield f"({lost[0]:.2f} and {lost[1]:.2f} times the error at ten)"
