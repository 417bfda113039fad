"""All metrics by name: how each is measured, and where it applies.

What they are called and which way is better stands in `evaluation.metrics.names`. A metric that
does not apply to a task is left out of its record; it is never 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from evaluation.metrics import bands, ensemble, horizon, imprint, relative, staggered, states
from evaluation.metrics.conservation import drift
from evaluation.metrics.divergence import divergence
from evaluation.metrics.evolution import evolution_residual, has_evolution, residual_per_frame
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.names import DRIFT, FRAME, FRAMES, MetricName, find_metric
from evaluation.metrics.residual import equation_residual, has_residual
from evaluation.metrics.sides import boundary_error
from evaluation.metrics.spectral import Band, resolves
from evaluation.metrics.stability import growth, stable_frames


@dataclass(frozen=True)
class Measurement:
    """How one number per sample comes about.

    Attributes:
        measure: a forecast in, (B,) out.
        applies: whether it can be measured on a task.
        from_curve: the same from the error of every frame alone, (B, T) and the threshold of
            validity in, (B,) out; None where that does not suffice.
    """

    measure: Callable[[Forecast], Tensor]
    applies: Callable[[Setting], bool] = lambda setting: True
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


def _band(band: Band) -> Measurement:
    return Measurement(
        measure=lambda forecast: forecast.bands[band],
        applies=lambda setting: resolves(band, setting.grid),
    )


def _latent(forecast: Forecast) -> Tensor:
    assert forecast.latent_B is not None, "of a setting with latents"
    return forecast.latent_B


def _drift(quantity: str) -> Measurement:
    return Measurement(
        measure=lambda forecast: drift(forecast, quantity),
        applies=lambda setting: quantity in (setting.conserved or {}),
    )


def _frame(frame: int) -> Measurement:
    return Measurement(
        measure=lambda forecast: forecast.per_frame_BT[:, frame - 1],
        applies=lambda setting: frame <= setting.frames,
        from_curve=lambda curve_BT, threshold: curve_BT[:, frame - 1],
    )


def _observable(name: str, of_state: states.Observable) -> dict[MetricName, Measurement]:
    """What a physicist draws: of the predicted and of the exact state, neither of them an error."""
    return {
        name: Measurement(states.predicted(of_state), states.is_of_spins),
        f"{name}_exact": Measurement(states.exact(of_state), states.is_of_spins),
    }


def _vrmse(forecast: Forecast, part: slice) -> Tensor:
    """Of some frames, as the task has its variance."""
    pred, true = forecast.pred_BTCHW[:, part], forecast.true_BTCHW[:, part]
    unbiased = forecast.setting.vrmse == "the_well"
    return relative.vrmse(pred, true, forecast.points_B1CHW, unbiased=unbiased)


def _frames(name: str, first: int, last: int) -> Measurement:
    part = slice(first - 1, last)
    if name == "l2re":
        return Measurement(
            measure=lambda forecast: forecast.per_frame_BT[:, part].mean(1),
            applies=lambda setting: first <= last <= setting.frames,
            from_curve=lambda curve_BT, threshold: curve_BT[:, part].mean(1),
        )
    if name == "vrmse":
        return Measurement(
            measure=lambda forecast: _vrmse(forecast, part),
            applies=lambda setting: first <= last <= setting.frames,
        )
    return Measurement(
        measure=lambda forecast: residual_per_frame(forecast)[:, part].square().mean(1).sqrt(),
        applies=lambda setting: first <= last <= setting.frames and has_evolution(setting),
    )


MEASUREMENTS: dict[MetricName, Measurement] = {
    "l2re": Measurement(measure=_pointwise(relative.l2re)),
    "nrmse": Measurement(
        measure=lambda forecast: forecast.per_frame_BT.mean(1),
        from_curve=lambda curve_BT, threshold: curve_BT.mean(1),
    ),
    "vrmse": Measurement(measure=lambda forecast: _vrmse(forecast, slice(None))),
    "max_error": Measurement(measure=_pointwise(relative.max_error)),
    "spectral_low": _band("low"),
    "spectral_mid": _band("mid"),
    "spectral_high": _band("high"),
    "grid_imprint": Measurement(
        measure=_pointwise(imprint.grid_imprint),
        applies=lambda setting: imprint.is_measured(setting.grid),
    ),
    "valid_frames": Measurement(
        measure=lambda f: horizon.valid_frames(f.per_frame_BT, f.setting.threshold),
        from_curve=horizon.valid_frames,
    ),
    "valid_time": Measurement(
        measure=lambda f: horizon.valid_time(
            f.per_frame_BT, f.setting.threshold, tuple(o.dt_s for o in f.origins)
        )
    ),
    "stable_frames": Measurement(measure=stable_frames),
    "growth": Measurement(measure=growth),
    "drift_mass": _drift("mass"),
    "drift_momentum": _drift("momentum"),
    "drift_energy": _drift("energy"),
    "drift_circulation": _drift("circulation"),
    "divergence": Measurement(
        measure=divergence,
        applies=lambda setting: setting.solenoidal is not None and min(setting.grid) > 2,
    ),
    "face_divergence": Measurement(
        measure=staggered.face_divergence, applies=staggered.is_staggered
    ),
    "max_divergence": Measurement(measure=staggered.max_divergence, applies=staggered.is_staggered),
    "max_divergence_stored": Measurement(
        measure=staggered.max_divergence_stored, applies=staggered.is_staggered
    ),
    "slip": Measurement(measure=staggered.slip, applies=staggered.has_walls),
    "slip_exact": Measurement(measure=staggered.slip_exact, applies=staggered.has_walls),
    "mean_flow_error": Measurement(
        measure=staggered.mean_flow_error, applies=staggered.is_staggered
    ),
    "crps": Measurement(measure=_of_members(ensemble.crps)),
    "spread_skill": Measurement(
        measure=_of_members(ensemble.spread_skill), applies=lambda setting: setting.members > 1
    ),
    "coverage": Measurement(
        measure=_of_band(bands.coverage), applies=lambda setting: setting.level is not None
    ),
    "band_width": Measurement(
        measure=_of_band(bands.band_width), applies=lambda setting: setting.level is not None
    ),
    "interval_score": Measurement(
        measure=_interval_score, applies=lambda setting: setting.level is not None
    ),
    "latent": Measurement(measure=_latent, applies=lambda setting: setting.latents),
    "residual": Measurement(measure=equation_residual, applies=has_residual),
    "evolution_residual": Measurement(measure=evolution_residual, applies=has_evolution),
    "boundary_error": Measurement(
        measure=boundary_error, applies=lambda setting: bool(setting.sides)
    ),
    "infidelity": Measurement(measure=states.infidelity, applies=states.is_of_states),
    "overlap": Measurement(measure=states.overlap, applies=states.is_of_states),
    "energy_error": Measurement(measure=states.energy_error, applies=states.is_of_states),
    "eigen_residual": Measurement(measure=states.eigen_residual, applies=states.is_of_states),
    **_observable("magnetisation", states.magnetisation),
    **_observable("correlation", states.correlation),
}


def find_measurement(name: MetricName) -> Measurement:
    """How a metric is measured, by its name.

    Raises:
        UserError: there is none; names the nearest.
    """
    find_metric(name)
    if name in MEASUREMENTS:
        return MEASUREMENTS[name]
    if match := FRAME.fullmatch(name):
        return _frame(int(match[1]))
    if match := FRAMES.fullmatch(name):
        return _frames(match[1], int(match[2]), int(match[3]))
    match = DRIFT.fullmatch(name)
    assert match is not None, f"{name} has a title and no measurement"
    return _drift(match[1])


def measure(names: tuple[MetricName, ...], forecast: Forecast) -> dict[MetricName, Tensor]:
    """Those of the metrics that apply to a forecast, each (B,)."""
    found = {name: find_measurement(name) for name in names}
    return {
        name: one.measure(forecast) for name, one in found.items() if one.applies(forecast.setting)
    }
