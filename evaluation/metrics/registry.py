"""All metrics by name: what each is, which way is better, where it applies.

`l2re_frame_N`, `l2re_frames_M_N`, `vrmse_frames_M_N` and `drift_QUANTITY` are families: every
frame, run of frames and conserved quantity has its own. A metric that does not apply to a task is
left out of its record; it is never 0.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from data_shards.errors import unknown_name
from evaluation.metrics import bands, ensemble, horizon, imprint, relative, staggered, states
from evaluation.metrics.conservation import drift
from evaluation.metrics.divergence import divergence
from evaluation.metrics.evolution import evolution_residual, has_evolution, residual_per_frame
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.residual import equation_residual, has_residual
from evaluation.metrics.sides import boundary_error
from evaluation.metrics.spectral import Band, resolves
from evaluation.metrics.stability import growth, stable_frames

MetricName = str

_FRAME = re.compile(r"l2re_frame_([1-9][0-9]*)")
_FRAMES = re.compile(r"(l2re|vrmse|evolution_residual)_frames_([1-9][0-9]*)_([1-9][0-9]*)")
_DRIFT = re.compile(r"drift_([a-z][a-z0-9_]*)")


@dataclass(frozen=True)
class Metric:
    """One number per sample.

    Attributes:
        title: as people write it.
        meaning: one line for a list of metrics.
        measure: a forecast in, (B,) out.
        unit: "1" where it has none.
        higher_is_better: which way a ranking goes.
        applies: whether it can be measured on a task.
        ranked: whether more, or less, of it is better; coverage is to be what is promised.
        from_curve: the same from the error of every frame alone, (B, T) and the threshold of
            validity in, (B,) out; None where that does not suffice.
    """

    title: str
    meaning: str
    measure: Callable[[Forecast], Tensor]
    unit: str = "1"
    higher_is_better: bool = False
    applies: Callable[[Setting], bool] = lambda setting: True
    ranked: bool = True
    from_curve: Callable[[Tensor, float], Tensor] | None = None


def _pointwise(function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def measure(forecast: Forecast) -> Tensor:
        return function(forecast.pred_BTCHW, forecast.true_BTCHW, forecast.points_B1CHW)

    return measure


def _of_band(function: Callable[..., Tensor]) -> Callable[[Forecast], Tensor]:
    def measure(forecast: Forecast) -> Tensor:
        assert forecast.half_BTCHW is not None
        return function(
            forecast.pred_BTCHW, forecast.half_BTCHW, forecast.true_BTCHW, forecast.points_B1CHW
        )

    return measure


def _of_members(function: Callable[..., Tensor]) -> Callable[[Forecast], Tensor]:
    def measure(forecast: Forecast) -> Tensor:
        members = forecast.members_MBTCHW
        if members is None:
            members = forecast.pred_BTCHW[None]
        return function(members, forecast.true_BTCHW, forecast.points_B1CHW)

    return measure


def _interval_score(forecast: Forecast) -> Tensor:
    level = forecast.setting.level
    assert level is not None
    return _of_band(partial(bands.interval_score, level=level))(forecast)


def _band(band: Band, range_text: str) -> Metric:
    return Metric(
        title=f"spectral error ({band})",
        meaning=f"relative error of wave numbers {range_text}",
        measure=lambda forecast: forecast.bands[band],
        applies=lambda setting: resolves(band, setting.grid),
    )


def _latent(forecast: Forecast) -> Tensor:
    assert forecast.latent_B is not None, "of a setting with latents"
    return forecast.latent_B


def _drift(quantity: str) -> Metric:
    return Metric(
        title=f"{quantity.replace('_', ' ')} drift",
        meaning=f"largest relative drift of the {quantity.replace('_', ' ')} of the domain",
        measure=lambda forecast: drift(forecast, quantity),
        applies=lambda setting: quantity in (setting.conserved or {}),
    )


def _frame(frame: int) -> Metric:
    return Metric(
        title=f"L2RE of frame {frame}",
        meaning=f"L2RE of predicted frame {frame} alone",
        measure=lambda forecast: forecast.per_frame_BT[:, frame - 1],
        applies=lambda setting: frame <= setting.frames,
        from_curve=lambda curve_BT, threshold: curve_BT[:, frame - 1],
    )


def _observable(name: str, meaning: str, of_state: states.Observable) -> dict[str, Metric]:
    """What a physicist draws: of the predicted and of the exact state, neither of them an error."""
    return {
        name: Metric(
            title=name,
            meaning=f"{meaning}, of the predicted state",
            measure=states.predicted(of_state),
            applies=states.is_of_spins,
        ),
        f"{name}_exact": Metric(
            title=f"exact {name}",
            meaning=f"{meaning}, of the exact state",
            measure=states.exact(of_state),
            applies=states.is_of_spins,
        ),
    }


def _vrmse(forecast: Forecast, part: slice) -> Tensor:
    """Of some frames, as the task has its variance."""
    pred, true = forecast.pred_BTCHW[:, part], forecast.true_BTCHW[:, part]
    unbiased = forecast.setting.vrmse == "the_well"
    return relative.vrmse(pred, true, forecast.points_B1CHW, unbiased=unbiased)


def _frames(name: str, first: int, last: int) -> Metric:
    part = slice(first - 1, last)
    if name == "l2re":
        return Metric(
            title=f"L2RE of frames {first} to {last}",
            meaning=f"mean over predicted frames {first} to {last} of the L2RE of each",
            measure=lambda forecast: forecast.per_frame_BT[:, part].mean(1),
            applies=lambda setting: first <= last <= setting.frames,
            from_curve=lambda curve_BT, threshold: curve_BT[:, part].mean(1),
        )
    if name == "vrmse":
        return Metric(
            title=f"VRMSE of frames {first} to {last}",
            meaning=f"VRMSE of predicted frames {first} to {last}, mean over them",
            measure=lambda forecast: _vrmse(forecast, part),
            applies=lambda setting: first <= last <= setting.frames,
        )
    return Metric(
        title=f"evolution residual of frames {first} to {last}",
        meaning=f"evolution residual of predicted frames {first} to {last}, root mean square",
        measure=lambda forecast: residual_per_frame(forecast)[:, part].square().mean(1).sqrt(),
        applies=lambda setting: first <= last <= setting.frames and has_evolution(setting),
    )


METRICS: dict[MetricName, Metric] = {
    "l2re": Metric(
        title="L2RE",
        meaning="L2 relative error over space and all frames, mean over channels",
        measure=_pointwise(relative.l2re),
    ),
    "nrmse": Metric(
        title="nRMSE",
        meaning="mean over frames of the relative root-mean-square error",
        measure=lambda forecast: forecast.per_frame_BT.mean(1),
        from_curve=lambda curve_BT, threshold: curve_BT.mean(1),
    ),
    "vrmse": Metric(
        title="VRMSE",
        meaning="root-mean-square error in spatial standard deviations, mean over frames",
        measure=lambda forecast: _vrmse(forecast, slice(None)),
    ),
    "max_error": Metric(
        title="max error",
        meaning="largest absolute error of the rollout",
        measure=_pointwise(relative.max_error),
        unit="of the channel",
    ),
    "spectral_low": _band("low", "0 to 4"),
    "spectral_mid": _band("mid", "5 to 12"),
    "spectral_high": _band("high", "13 upwards"),
    "grid_imprint": Metric(
        title="grid imprint",
        meaning="energy of the error at the waves of patches relative to that around them; 1: none",
        measure=_pointwise(imprint.grid_imprint),
        applies=lambda setting: imprint.is_measured(setting.grid),
    ),
    "valid_frames": Metric(
        title="valid frames",
        meaning="frames before the first one whose L2RE exceeds the task's threshold",
        measure=lambda f: horizon.valid_frames(f.per_frame_BT, f.setting.threshold),
        unit="frames",
        higher_is_better=True,
        from_curve=horizon.valid_frames,
    ),
    "valid_time": Metric(
        title="valid time",
        meaning="valid frames times the time between frames",
        measure=lambda f: horizon.valid_time(
            f.per_frame_BT, f.setting.threshold, tuple(o.dt_s for o in f.origins)
        ),
        unit="time of the corpus",
        higher_is_better=True,
    ),
    "stable_frames": Metric(
        title="stable frames",
        meaning="frames, free ones too, before the first larger than three times the truth ever is",
        measure=stable_frames,
        unit="frames",
        higher_is_better=True,
    ),
    "growth": Metric(
        title="growth",
        meaning="largest size of the prediction, free frames too, in the largest of the truth",
        measure=growth,
    ),
    "drift_mass": _drift("mass"),
    "drift_momentum": _drift("momentum"),
    "drift_energy": _drift("energy"),
    "drift_circulation": _drift("circulation"),
    "divergence": Metric(
        title="divergence",
        meaning="divergence of the predicted velocity relative to its gradient",
        measure=divergence,
        applies=lambda setting: setting.solenoidal is not None and min(setting.grid) > 2,
    ),
    "face_divergence": Metric(
        title="divergence on faces",
        meaning="divergence of a staggered velocity relative to its slopes along the axes",
        measure=staggered.face_divergence,
        applies=staggered.is_staggered,
    ),
    "max_divergence": Metric(
        title="largest divergence",
        meaning="of a staggered velocity as predicted, in float64, for rms speed 1 in a unit box",
        measure=staggered.max_divergence,
        applies=staggered.is_staggered,
    ),
    "max_divergence_stored": Metric(
        title="largest divergence in float32",
        meaning="the same of the predicted velocity as a file in float32 keeps it",
        measure=staggered.max_divergence_stored,
        applies=staggered.is_staggered,
    ),
    "slip": Metric(
        title="slip at walls",
        meaning="predicted speed along walls half a cell away, in the truth's rms speed",
        measure=staggered.slip,
        applies=staggered.has_walls,
    ),
    "slip_exact": Metric(
        title="exact slip at walls",
        meaning="the same of the truth: what shear makes of half a cell",
        measure=staggered.slip_exact,
        applies=staggered.has_walls,
    ),
    "mean_flow_error": Metric(
        title="mean flow error",
        meaning="error of the mean velocity of the box, relative to the truth's",
        measure=staggered.mean_flow_error,
        applies=staggered.is_staggered,
    ),
    "crps": Metric(
        title="CRPS",
        meaning="continuous ranked probability score of the members, relative to the truth's size",
        measure=_of_members(ensemble.crps),
    ),
    "spread_skill": Metric(
        title="spread over skill",
        meaning="spread of the members over the error of their mean; below 1 they are too sure",
        measure=_of_members(ensemble.spread_skill),
        applies=lambda setting: setting.members > 1,
        ranked=False,
    ),
    "coverage": Metric(
        title="coverage",
        meaning="share of points whose truth lies within the band; good is the level it promises",
        measure=_of_band(bands.coverage),
        applies=lambda setting: setting.level is not None,
        ranked=False,
    ),
    "band_width": Metric(
        title="band width",
        meaning="mean width of the band, relative to the truth's size",
        measure=_of_band(bands.band_width),
        applies=lambda setting: setting.level is not None,
    ),
    "interval_score": Metric(
        title="interval score",
        meaning="band width, and what truths lie outside of it times 2 / (1 - level)",
        measure=_interval_score,
        applies=lambda setting: setting.level is not None,
    ),
    "latent": Metric(
        title="latent error",
        meaning="squared error of the first frame's latents relative to their own square",
        measure=_latent,
        applies=lambda setting: setting.latents,
    ),
    "residual": Metric(
        title="residual",
        meaning="what is left of the source when the equation is applied to the answer",
        measure=equation_residual,
        applies=has_residual,
    ),
    "evolution_residual": Metric(
        title="evolution residual",
        meaning="what the equation of evolution leaves of the forecast, over its duration",
        measure=evolution_residual,
        applies=has_evolution,
    ),
    "boundary_error": Metric(
        title="boundary error",
        meaning="error in the cells at the sides, relative to the truth in the whole domain",
        measure=boundary_error,
        applies=lambda setting: bool(setting.sides),
    ),
    "infidelity": Metric(
        title="infidelity",
        meaning="1 less the squared overlap with the exact state: what fidelity lacks",
        measure=states.infidelity,
        applies=states.is_of_states,
    ),
    "overlap": Metric(
        title="overlap",
        meaning="cosine between predicted and exact amplitudes, without its sign",
        measure=states.overlap,
        higher_is_better=True,
        applies=states.is_of_states,
    ),
    "energy_error": Metric(
        title="energy error",
        meaning="energy of the predicted state above the exact one, relative to the latter",
        measure=states.energy_error,
        applies=states.is_of_states,
    ),
    "eigen_residual": Metric(
        title="eigenvalue residual",
        meaning="size of H c - E c for a state c of length 1 and its own energy E",
        measure=states.eigen_residual,
        unit="of the energy",
        applies=states.is_of_states,
    ),
    **_observable("magnetisation", "magnetisation per spin", states.magnetisation),
    **_observable("correlation", "correlation of spins half a chain apart", states.correlation),
}


def find_metric(name: MetricName) -> Metric:
    """A metric by its name.

    Raises:
        UserError: there is none; names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    if match := _FRAME.fullmatch(name):
        return _frame(int(match[1]))
    if match := _FRAMES.fullmatch(name):
        return _frames(match[1], int(match[2]), int(match[3]))
    if match := _DRIFT.fullmatch(name):
        return _drift(match[1])
    raise unknown_name("metric", name, [*METRICS, "l2re_frame_1"])


def frame_metric(frame: int) -> MetricName:
    """Name of the L2RE of one predicted frame, counted from 1."""
    return f"l2re_frame_{frame}"


def measure(names: tuple[MetricName, ...], forecast: Forecast) -> dict[MetricName, Tensor]:
    """Those of the metrics that apply to a forecast, each (B,)."""
    found = {name: find_metric(name) for name in names}
    return {
        name: metric.measure(forecast)
        for name, metric in found.items()
        if metric.applies(forecast.setting)
    }
