"""Runs of studies, made by hand."""

from evaluation.study.summary import StudyPoint

TASKS = {"zero_shot_pdebench_swe": "l2re", "zero_shot_pdebench_dr": "l2re"}


def study_point(
    model: str, seed: int, errors: tuple[float, ...], mixture: str = "six", corpora: int = 6
) -> StudyPoint:
    """A run with the errors of `TASKS` in their order."""
    return StudyPoint(
        name=f"{model}-{mixture}-{seed}",
        model=model,
        mixture=mixture,
        corpora=corpora,
        seed=seed,
        steps=100,
        samples=1600,
        parameters_total=2000,
        parameters_activated=1000,
        flops_per_frame=10**6,
        errors=dict(zip(TASKS, errors, strict=True)),
    )


def two_models() -> list[StudyPoint]:
    """The sparse one is better on the first task in every seed, and worse on the second in most."""
    return [
        study_point("sparse", 0, (0.10, 0.40)),
        study_point("sparse", 1, (0.12, 0.60)),
        study_point("sparse", 2, (0.14, 0.50)),
        study_point("dense", 0, (0.20, 0.39)),
        study_point("dense", 1, (0.22, 0.41)),
        study_point("dense", 2, (0.24, 0.55)),
    ]
