"""A constraint's steps and forecasts beside soft ones, and errors of a known solution by arms.

Seconds: the preset's network on Burgers' equation with fresh weights, one step forward and
backward and one forecast, as multiples of those of the soft arm in the same round. They grow with
points and with boxes. Counted besides is the relative L2 error at which each arm recovers
a solution that it cannot hold exactly: a wave under the heat equation, known in closed form, from
random smooth basis fields.
"""

from dataclasses import replace
from math import pi

import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.layer import ConstraintLayer
from foundation.models.registry import build_model
from foundation.parallel.collectives import sum_over_ranks
from foundation.train.config import load_run_config
from foundation.train.losses import losses_of
from launchers.benchmarks.timing import Figure, Way, in_turns, ratio

PRESET, SAMPLES = "constrained_burgers", 4
BOXES, POINTS, OVERLAP = (2, 4, 8), (100, 200, 400, 800), 2
_WAVES = 3  # of a random basis field, along the line

Arms = dict[str, list[str]]  # name -> overrides


def arms() -> Arms:
    """Soft, one, and mixtures by boxes, with overlap or anchored faces, and by points."""
    key = "model.constraint"
    none, most = f"{key}.boxes=[]", f"{key}.points={POINTS[-1]}"
    found = {
        "soft": [none, f"{key}.enforced=soft"],
        "one": [none, f"{key}.enforced=one", most],
    }
    for boxes in BOXES:
        split = f"{key}.boxes=[1, {boxes}]"
        found[f"{boxes} boxes"] = [split, most]
        found[f"{boxes} boxes, overlap {OVERLAP}"] = [split, most, f"{key}.overlap={OVERLAP}"]
        found[f"{boxes} boxes, anchored"] = [split, most, f"{key}.faces=anchored"]
    for points in POINTS[:-1]:
        few = f"{key}.points={points}"
        found[f"one, {points} points"] = [none, f"{key}.enforced=one", few]
        found[f"4 boxes, {points} points"] = [f"{key}.boxes=[1, 4]", few]
    return found


def constraint_figures(device: torch.device, rounds: int) -> list[Figure]:
    """Steps and forecasts over soft ones, then errors."""
    steps, forecasts = {}, {}
    for name, overrides in arms().items():
        steps[name], forecasts[name] = _ways(overrides, device)
    figures = []
    for what, ways in (("step", steps), ("forecast", forecasts)):
        seconds = in_turns(ways, rounds, device)
        figures += [
            ratio(f"constraint, {what}: {name} / soft", seconds[name], seconds["soft"])
            for name in ways
            if name != "soft"
        ]
    errors = {name: recovered(overrides) for name, overrides in arms().items() if name != "soft"}
    return figures + [
        Figure(f"constraint, L2RE of a known wave: {name}", error) for name, error in errors.items()
    ]


def _ways(overrides: list[str], device: torch.device) -> tuple[Way, Way]:
    """A step and a forecast of one arm."""
    run = load_run_config(PRESET, overrides)
    network, batch = build_model(run.model, 0).to(device), _first_frames(run.model.grid).to(device)
    batch = replace(batch, asked=batch.given.expand(-1, run.model.out_frames, -1, -1, -1))

    def step() -> None:
        network.train().zero_grad(set_to_none=True)
        total = losses_of(network(batch), batch, run.loss, sum_over_ranks).total
        total.backward()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def forecast() -> Tensor:
        fields: Tensor = network.eval()(batch).fields
        return fields

    return step, forecast


def _first_frames(grid: tuple[int, ...]) -> Batch:
    """Waves on a line, of another phase in each sample."""
    x = torch.arange(grid[-1]) / grid[-1] * 2 * pi
    given = torch.stack([(x + phase).sin() + (2 * x - phase).cos() for phase in range(SAMPLES)])
    given = given.view(SAMPLES, 1, 1, *grid) / 2
    origin = Origin(dt_s=0.03, parameters={"advection": 1.0, "viscosity": 0.01})
    return Batch(
        given=given,
        asked=given,
        asked_mask=torch.ones(SAMPLES, 1),
        valid_mask=torch.ones(SAMPLES, 1, *grid),
        corpus_id=torch.zeros(SAMPLES, dtype=torch.int64),
        keys=("wave",) * SAMPLES,
        origins=(origin,) * SAMPLES,
    )


def recovered(overrides: list[str], viscosity: float = 0.02) -> float:
    """Relative L2 error of sin 2 pi x under the heat equation, from fields that do not hold it."""
    config = load_run_config(PRESET, overrides).model
    assert config.constraint is not None, "the preset is of a constraint"
    shape = (config.out_frames + 1, config.grid[-1])
    layer = ConstraintLayer(config.constraint, shape).eval()
    t = torch.arange(shape[0], dtype=torch.float64)[:, None] / config.out_frames
    x = torch.arange(shape[1], dtype=torch.float64) / shape[1] * 2 * pi
    true = x.sin() * (-viscosity * (2 * pi) ** 2 * t).exp()
    origin = Origin(1 / config.out_frames, (0, 1, 0, 1), {"advection": 0.0, "viscosity": viscosity})
    basis = _random_basis(config.constraint, t, x)
    found = layer(basis, true[:1], (origin,)).fields[0]
    return float((found - true[1:]).norm() / true[1:].norm())


def _random_basis(config: ConstraintConfig, t: Tensor, x: Tensor) -> Tensor:
    """Smooth fields (1, N, T, W)."""
    generator = torch.Generator().manual_seed(0)
    shape = 3, _WAVES, config.basis, 1, 1
    a, b, c = torch.randn(shape, generator=generator, dtype=torch.float64)
    waves = [
        a[k] * ((k + 1) * x + b[k]).sin() * (c[k] * pi * t + b[k]).cos() for k in range(_WAVES)
    ]
    return torch.stack(waves).sum(0)[None]
