"""What of a simulation differs from a model's training, in plain words: channels, time, values."""

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation
from data_shards.simulation_file.time_units import seconds_of
from evaluation.simulation.scaling import moments_of, training_moments
from foundation import Surrogate

_NEAR = 2.0  # times another step, up to which a step counts as near to it
_MOST_TOLD = 6  # corpora
_FAR = 5.0  # times larger or smaller, or deviations away, from which values are said to be far
_REMEDY = "; other units may help: --scale auto"


def training_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """A line for everything that the training had otherwise, or that cannot be compared with it.

    Args:
        model: that names the corpora of its training.
        simulation: as its file was read.
    """
    hints = order_hints(model, simulation) + step_hints(model, simulation)
    return hints + value_hints(model, simulation)


def order_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """A line for every order of the same channels that the model was trained on instead.

    A model knows channels by their place alone. Where a corpus of its training has channels of the
    same names, their order is the one that it knows.
    """
    arrays = simulation.layout.arrays
    one_each = len(arrays) == len(simulation.channels)
    names = arrays if one_each else simulation.channels
    own = dict(zip(map(str.lower, simulation.channels), names, strict=True))
    remedy = "--channels " if one_each else "save them as "
    orders: dict[tuple[str, ...], list[str]] = {}
    for corpus in model.about.get("corpora", ()):
        known = _channels_of(corpus)
        if sorted(known) == sorted(own):
            orders.setdefault(known, []).append(corpus)
    if not orders or tuple(own) in orders:
        return ()
    return tuple(
        f"the model knows these channels in another order, as in {', '.join(corpora)}: "
        f"{remedy}{','.join(own[name] for name in order)}"
        for order, corpora in orders.items()
    )


def value_hints(model: Surrogate, simulation: Simulation) -> tuple[str, ...]:
    """A line for every channel whose values are far larger, smaller or farther from zero than
    those that any corpus of the training has in its place; nothing where these are not known.

    A network sees how large values are, and was taught nothing of such ones.
    """
    known = training_moments(model)
    lines = []
    for place, own in enumerate(moments_of(simulation)):
        theirs = [moments[place] for moments in known.values() if place < len(moments)]
        sizes = [each.std for each in theirs if each.std > 0]
        if not (sizes and own.std > 0):
            continue
        name, most = simulation.channels[place], max(sizes)
        ratio = max(own.std / most, min(1.0, own.std / min(sizes)))
        away = min(abs(own.mean - each.mean) / (own.std + each.std) for each in theirs)
        if not 1 / _FAR <= ratio <= _FAR:
            size = f"{ratio:.3g} times the largest" if ratio > 1 else f"{ratio:.3g} of the smallest"
            lines.append(f"values: {name} varies by {own.std:.3g}, {size} of the training{_REMEDY}")
        elif away > _FAR:
            lines.append(
                f"values: {name} is {own.mean:.4g} in the mean and varies by {own.std:.3g}, which "
                f"no corpus of the training is near to{_REMEDY}"
            )
    return tuple(lines)


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
    times = simulation.times.values
    apart = simulation.said_step or float(times[-1] - times[0]) / (len(times) - 1)
    step = apart * (second or 1.0)
    told = f"{apart:.4g} {unit}" if unit else f"{step:.4g} (the file tells no unit)"
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


def _channels_of(corpus: str) -> tuple[str, ...]:
    """Names in lower case; none of a corpus without a card."""
    try:
        return tuple(name.lower() for name in load_card(corpus).channel_names)
    except UserError:
        return ()
