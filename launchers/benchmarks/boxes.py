"""One field of flow through a tokenizer and back, as `foundation bench boxes --help` tells."""

import argparse
import json
import resource
import time
from typing import Any

import torch
from torch import Tensor

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.registry import measure
from foundation import Surrogate
from foundation.models.flow import FlowConfig
from foundation.models.registry import ModelConfig, build_model
from foundation.physics.staggered import curl, open_edges, open_faces
from foundation.train.config import load_run_config
from launchers.benchmarks.options import GEOMETRIES
from launchers.benchmarks.provenance import provenance
from launchers.benchmarks.tensor_bytes import most_bytes
from launchers.console.device import usable_device

_RADIUS = 0.3  # of the solid sphere in the middle of every eighth of the box, of the eighth's side
_MODES = 4  # of the waves, along each axis
_AXES = {"u": "x", "v": "y", "w": "z"}
_SIDES = ("left", "right", "bottom", "top", "front", "back")
_DIVERGENCES = ("max_divergence", "max_divergence_stored")


def bench_boxes(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    device = usable_device(options.device)
    config = load_run_config(options.preset, options.overrides).model
    if not config.reconstructs:
        raise UserError(
            f"{options.preset} is a {config.model_type}, which reconstructs nothing; give the "
            "preset of a tokenizer, as tokenizer_small"
        )
    assert isinstance(config, FlowConfig)
    free = config.autoencoder.model_copy(update={"velocity": "free"})
    twin = config.model_copy(update={"autoencoder": free})
    fields: list[dict[str, Any]] = []
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for geometry in options.geometry or GEOMETRIES:
        for each in (config, twin):
            fields.append(passed(each, geometry, device))
            _tell(fields[-1])
            record = {**_conditions(options.preset, config, device), "fields": fields}
            replace_file(options.output, f"{json.dumps(record, indent=1)}\n".encode())


def _tell(field: dict[str, Any]) -> None:
    print(
        f"{field['geometry']:<8} {field['velocity']:<10} max |div| "
        f"{field['max_divergence']:.2e}, {field['max_divergence_stored']:.2e} in float32; "
        f"{field['seconds']:.1f} s, of processors {field['cpu_seconds']:.1f} s; "
        f"tensors of {field['tensor_gib']:.2f} GiB",
        flush=True,
    )


def _conditions(preset: str, config: FlowConfig, device: torch.device) -> dict[str, Any]:
    return {
        **provenance(device),
        "preset": preset,
        "grid": list(config.grid),
        "threads": torch.get_num_threads(),
        "norm": "largest |div v| in a fluid cell, for rms speed 1 in a box of side 1",
        "weights": "fresh, seed 0: the divergence is that of any weights",
        "seconds": "of a single call, on a machine with other work at the same time",
        "tensors": "most at once in the call, beside weights and the frame",
        # In KiB on Linux.
        "process_peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def passed(config: ModelConfig, geometry: str, device: torch.device) -> dict[str, Any]:
    """What encoding and decoding one field gives and takes."""
    assert isinstance(config, FlowConfig)
    model = Surrogate(build_model(config, seed=0), config, {}).eval().to(device)
    fluid, origin = box_of(geometry, config.resolution)
    frames = flow_in(fluid, origin, seed=0).float()[None].to(device)

    decoded = frames

    def reconstruct() -> None:
        nonlocal decoded
        decoded = model.reconstruct(frames, fluid, (origin,))
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    began, cpu = time.perf_counter(), time.process_time()
    tensors = most_bytes(reconstruct, device)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    divergences = measure(_DIVERGENCES, _as_forecast(decoded.cpu(), fluid, origin))
    return {
        "geometry": geometry,
        "porosity": float(fluid.mean()),
        "velocity": config.autoencoder.velocity,
        **{name: float(value) for name, value in divergences.items()},
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "tensor_gib": tensors / 2**30,
    }


def box_of(geometry: str, side: int) -> tuple[Tensor, Origin]:
    """Fluid cells (D, H, W), and what is known of the box, of side 1.

    Args:
        geometry: "channel" with a floor and a free surface, or "spheres", eight on a lattice.
        side: cells.
    """
    boundary = dict.fromkeys(_SIDES, "periodic")
    fluid = torch.ones(side, side, side)
    if geometry == "channel":
        boundary |= {"bottom": "no_slip", "top": "free_slip"}
    else:
        centred = ((torch.arange(side) + 0.5) * 2 / side) % 1 - 0.5  # in every half of an axis
        squared = centred.square()
        distance = squared[:, None, None] + squared[:, None] + squared
        fluid[distance < _RADIUS**2] = 0
    return fluid, Origin(extent=(0.0, 1.0) * 3, boundary=boundary)


def flow_in(fluid: Tensor, origin: Origin, seed: int) -> Tensor:
    """u, v, w, p of rms speed 1, (4, D, H, W): a curl of smooth random waves, and one of them."""
    side = len(fluid)
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randn(4, _MODES, _MODES, _MODES, generator=generator).to(torch.complex128)
    waves: Tensor = torch.fft.irfftn(modes, s=(side,) * 3, dim=(1, 2, 3), norm="forward")
    walls = [(origin.boundary or {})[name] != "periodic" for name in _SIDES[::2]]
    faces = open_faces(fluid[None].double(), torch.tensor([walls]))[0]
    velocity = curl(open_edges(faces) * waves[:3], (1.0 / side,) * 3)
    speed = (velocity.square().sum() / fluid.sum()).sqrt()
    return torch.cat([velocity / speed, waves[3:] * fluid])


def _as_forecast(decoded: Tensor, fluid: Tensor, origin: Origin) -> Forecast:
    """Of the very frame: what its divergence is measured of."""
    fields = decoded[:, None, :3]
    setting = Setting(grid=tuple(fluid.shape), frames=1, channels=tuple(_AXES), staggered=_AXES)
    points = fluid.expand(1, 1, 3, *fluid.shape)
    stored = fields.float()
    return Forecast(stored, stored, points, setting, (origin,), made_BTCHW=fields)
