"""All metrics by name: what each is and which way is better, without computing any.

`l2re_frame_N`, `l2re_frames_M_N`, `vrmse_frames_M_N` and `drift_QUANTITY` are families: every
frame, run of frames and conserved quantity has its own. How each is measured stands in
`evaluation.metrics.registry`, apart: what only reads records or lists tasks needs no tensors.
"""

import re
from dataclasses import dataclass

from data_shards.errors import unknown_name

MetricName = str

FRAME = re.compile(r"l2re_frame_([1-9][0-9]*)")
FRAMES = re.compile(r"(l2re|vrmse|evolution_residual)_frames_([1-9][0-9]*)_([1-9][0-9]*)")
DRIFT = re.compile(r"drift_([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class Metric:
    """One number per sample.

    Attributes:
        title: as people write it.
        meaning: one line for a list of metrics.
        unit: "1" where it has none.
        higher_is_better: which way a ranking goes.
        ranked: whether more, or less, of it is better; coverage is to be what is promised.
    """

    title: str
    meaning: str
    unit: str = "1"
    higher_is_better: bool = False
    ranked: bool = True


def _band(band: str, range_text: str) -> Metric:
    return Metric(
        title=f"spectral error ({band})",
        meaning=f"relative error of wave numbers {range_text}",
    )


def _drift(quantity: str) -> Metric:
    quantity = quantity.replace("_", " ")
    return Metric(
        title=f"{quantity} drift",
        meaning=f"largest relative drift of the {quantity} of the domain",
    )


def _frame(frame: int) -> Metric:
    return Metric(title=f"L2RE of frame {frame}", meaning=f"L2RE of predicted frame {frame} alone")


def _observable(name: str, meaning: str) -> dict[MetricName, Metric]:
    """What a physicist draws: of the predicted and of the exact state, neither of them an error."""
    return {
        name: Metric(title=name, meaning=f"{meaning}, of the predicted state"),
        f"{name}_exact": Metric(title=f"exact {name}", meaning=f"{meaning}, of the exact state"),
    }


def _frames(name: str, first: int, last: int) -> Metric:
    if name == "l2re":
        return Metric(
            title=f"L2RE of frames {first} to {last}",
            meaning=f"mean over predicted frames {first} to {last} of the L2RE of each",
        )
    if name == "vrmse":
        return Metric(
            title=f"VRMSE of frames {first} to {last}",
            meaning=f"VRMSE of predicted frames {first} to {last}, mean over them",
        )
    return Metric(
        title=f"evolution residual of frames {first} to {last}",
        meaning=f"evolution residual of predicted frames {first} to {last}, root mean square",
    )


METRICS: dict[MetricName, Metric] = {
    "l2re": Metric(
        title="L2RE", meaning="L2 relative error over space and all frames, mean over channels"
    ),
    "nrmse": Metric(
        title="nRMSE", meaning="mean over frames of the relative root-mean-square error"
    ),
    "vrmse": Metric(
        title="VRMSE",
        meaning="root-mean-square error in spatial standard deviations, mean over frames",
    ),
    "max_error": Metric(
        title="max error", meaning="largest absolute error of the rollout", unit="of the channel"
    ),
    "spectral_low": _band("low", "0 to 4"),
    "spectral_mid": _band("mid", "5 to 12"),
    "spectral_high": _band("high", "13 upwards"),
    "grid_imprint": Metric(
        title="grid imprint",
        meaning="energy of the error at the waves of patches relative to that around them; 1: none",
    ),
    "valid_frames": Metric(
        title="valid frames",
        meaning="frames before the first one whose L2RE exceeds the task's threshold",
        unit="frames",
        higher_is_better=True,
    ),
    "valid_time": Metric(
        title="valid time",
        meaning="valid frames times the time between frames",
        unit="time of the corpus",
        higher_is_better=True,
    ),
    "stable_frames": Metric(
        title="stable frames",
        meaning="frames, free ones too, before the first larger than three times the truth ever is",
        unit="frames",
        higher_is_better=True,
    ),
    "growth": Metric(
        title="growth",
        meaning="largest size of the prediction, free frames too, in the largest of the truth",
    ),
    "drift_mass": _drift("mass"),
    "drift_momentum": _drift("momentum"),
    "drift_energy": _drift("energy"),
    "drift_circulation": _drift("circulation"),
    "divergence": Metric(
        title="divergence", meaning="divergence of the predicted velocity relative to its gradient"
    ),
    "face_divergence": Metric(
        title="divergence on faces",
        meaning="divergence of a staggered velocity relative to its slopes along the axes",
    ),
    "max_divergence": Metric(
        title="largest divergence",
        meaning="of a staggered velocity as predicted, in float64, for rms speed 1 in a unit box",
    ),
    "max_divergence_stored": Metric(
        title="largest divergence in float32",
        meaning="the same of the predicted velocity as a file in float32 keeps it",
    ),
    "slip": Metric(
        title="slip at walls",
        meaning="predicted speed along walls half a cell away, in the truth's rms speed",
    ),
    "slip_exact": Metric(
        title="exact slip at walls",
        meaning="the same of the truth: what shear makes of half a cell",
    ),
    "mean_flow_error": Metric(
        title="mean flow error",
        meaning="error of the mean velocity of the box, relative to the truth's",
    ),
    "crps": Metric(
        title="CRPS",
        meaning="continuous ranked probability score of the members, relative to the truth's size",
    ),
    "spread_skill": Metric(
        title="spread over skill",
        meaning="spread of the members over the error of their mean; below 1 they are too sure",
        ranked=False,
    ),
    "coverage": Metric(
        title="coverage",
        meaning="share of points whose truth lies within the band; good is the level it promises",
        ranked=False,
    ),
    "band_width": Metric(
        title="band width", meaning="mean width of the band, relative to the truth's size"
    ),
    "interval_score": Metric(
        title="interval score",
        meaning="band width, and what truths lie outside of it times 2 / (1 - level)",
    ),
    "latent": Metric(
        title="latent error",
        meaning="squared error of the first frame's latents relative to their own square",
    ),
    "residual": Metric(
        title="residual",
        meaning="what is left of the source when the equation is applied to the answer",
    ),
    "evolution_residual": Metric(
        title="evolution residual",
        meaning="what the equation of evolution leaves of the forecast, over its duration",
    ),
    "boundary_error": Metric(
        title="boundary error",
        meaning="error in the cells at the sides, relative to the truth in the whole domain",
    ),
    "infidelity": Metric(
        title="infidelity",
        meaning="1 less the squared overlap with the exact state: what fidelity lacks",
    ),
    "overlap": Metric(
        title="overlap",
        meaning="cosine between predicted and exact amplitudes, without its sign",
        higher_is_better=True,
    ),
    "energy_error": Metric(
        title="energy error",
        meaning="energy of the predicted state above the exact one, relative to the latter",
    ),
    "eigen_residual": Metric(
        title="eigenvalue residual",
        meaning="size of H c - E c for a state c of length 1 and its own energy E",
        unit="of the energy",
    ),
    **_observable("magnetisation", "magnetisation per spin"),
    **_observable("correlation", "correlation of spins half a chain apart"),
}


def find_metric(name: MetricName) -> Metric:
    """A metric by its name.

    Raises:
        UserError: there is none; names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    if match := FRAME.fullmatch(name):
        return _frame(int(match[1]))
    if match := FRAMES.fullmatch(name):
        return _frames(match[1], int(match[2]), int(match[3]))
    if match := DRIFT.fullmatch(name):
        return _drift(match[1])
    raise unknown_name("metric", name, [*METRICS, "l2re_frame_1"])


def frame_metric(frame: int) -> MetricName:
    """Name of the L2RE of one predicted frame, counted from 1."""
    return f"l2re_frame_{frame}"
