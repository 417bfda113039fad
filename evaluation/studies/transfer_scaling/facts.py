"""Figures of transfer scaling on steady problems."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, fixed, on, record, row, short

_SIZES = ("FNO 67 K", "FNO 1.05 M", "FNO 4.2 M", "MoE-POT 1.01 M")


def _zero_shot(model: str, mixture: str, tasks: list[str]) -> list[str]:
    errors = next(
        one["errors"]
        for one in record("transfer_scaling/study.json")["points"]
        if (one["model"], one["mixture"]) == (model, mixture)
    )
    return [_as_error(errors[task]) for task in tasks]


def _as_error(value: float) -> str:
    """Three places below one, three digits above."""
    return fixed(value) if value < 1 else short(value)


@on(f"{STUDIES}/transfer_scaling/README.md")
def zero_shot_tables() -> Iterator[str]:
    rungs = [f"steady_shift_poisson_anisotropy_{value}" for value in ("7.5", "15", "35")]
    poisson = ["steady_shift_poisson_anisotropy_3", *rungs]
    for mixture, words in (("poisson", ""), ("poisson-relative-l2", ", relative L2")):
        for model in _SIZES:
            yield row(f"{model}{words}", *_zero_shot(model, mixture, poisson))
    ratios = [f"steady_shift_advection_ratio_{value}" for value in ("0.6", "1.5", "3.5", "10")]
    omegas = [f"steady_shift_helmholtz_omega_{value}" for value in ("5", "13", "18", "25", "40")]
    three = [*ratios, *omegas]
    for model in _SIZES:
        yield row(model, *_zero_shot(model, "three", three))


@on(f"{STUDIES}/transfer_scaling/README.md")
def fine_tuned_tables() -> Iterator[str]:
    cells = {
        (one["model"], one["mixture"], one["corpus"], one["trajectories"]): one
        for one in record("transfer_scaling/study-transfer.json")["cells"]
    }
    rungs = [f"poisson_anisotropy_{value}" for value in ("3", "7.5", "15")]
    for mixture in ("poisson", "three"):
        for model in _SIZES:
            for count in (8, 32, 128):
                found = [cells[model, mixture, rung, count] for rung in rungs]
                texts = [
                    f"{fixed(one['pretrained']['error']['mean'])} "
                    f"({fixed(one['error_factor'], 1)}x)"
                    for one in found
                ]
                yield row(f"{model}, {count}", *texts)
