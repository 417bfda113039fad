"""A picture of an answer to a steady problem: what was given, what came out, what is left.

Rows y upwards, columns x; each plane has colours of its own. The last plane is the residual.
"""

import numpy as np

from data_shards.card import Channel
from data_shards.pictures.sheet import steady_sheet
from data_shards.pictures.view import View, scale_of
from data_shards.simulation_file.problem import Problem
from evaluation.simulation.solution import Answer


def draw_answer(problem: Problem, answer: Answer) -> bytes:
    """Given planes, the solution and the residual side by side; PNG."""
    planes, names = [*problem.planes.fields[0]], list(problem.planes.channels)
    planes += [*answer.solution.fields[0]]
    names += answer.solution.channels
    if answer.residual is not None:
        planes.append(answer.residual)
        names.append("residual")
    frames = np.stack(planes)[None]
    view = View(
        frames=frames,
        times=np.zeros(1),
        extent=(0.0, 1.0, 0.0, 1.0),
        channels=tuple(Channel(name=name, unit="1") for name in names),
        scales=tuple(scale_of(frames[:, channel]) for channel in range(frames.shape[1])),
        title=f"{problem.planes.source.name}: given, answered, left over",
    )
    return steady_sheet(view)
