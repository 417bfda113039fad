"""What of a simulation differs from a model's training, in plain words: channels and time step."""

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from data_shards.simulation_file.time_units import seconds_of
from evaluation.simulation.channels import order_hints
from foundation import Surrogate

_NEAR = 2.0  # times another step, up to which a step counts as near to it
_MOST_TOLD = 6  # corpora


def training_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """A line for everything that the training had otherwise, or that cannot be compared with it.

    Args:
        model: that names the corpora of its training.
        simulation: as its file was read.
    """
    return order_hints(model, simulation) + step_hints(model, simulation)


def step_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """The time step of a file beside those of the training; nothing where these are not known.

    A model sees no time step unless it is under an equation: it goes on in steps like those between
    the given frames.
    """
    known = {corpus: step for corpus in model.about.get("corpora", ()) if (step := _step(corpus))}
    if not known or len(simulation.fields) < 2:
        return ()
    unit = simulation.times.attributes.get("units", "").partition(" since ")[0]
    second = seconds_of(unit)
    step = simulation.step * (second or 1.0)
    told = f"{simulation.step:.4g} {unit}" if unit else f"{step:.4g} (the file tells no unit)"
    if second not in (None, 1.0):
        told += f" = {step:.4g} s"
    near = [corpus for corpus, other in known.items() if 1 / _NEAR <= step / other <= _NEAR]
    return (
        f"time step: frames are {told} apart, those of the training {_shown(known)}; "
        + (f"near to {', '.join(near)}" if near else f"none is within a factor of {_NEAR:g}"),
    )


def _shown(steps: dict[str, float]) -> str:
    if len(steps) <= _MOST_TOLD:
        return ", ".join(f"{step:g} s ({corpus})" for corpus, step in steps.items())
    least, most = (pick(steps, key=lambda name: steps[name]) for pick in (min, max))
    return f"{steps[least]:g} s ({least}) to {steps[most]:g} s ({most})"


def _step(corpus: str) -> float | None:
    """Seconds between frames; None of a corpus without a card, or with several steps."""
    try:
        return load_card(corpus).dt_s
    except UserError:
        return None
