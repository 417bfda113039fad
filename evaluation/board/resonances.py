"""What decides the difficulty of Helmholtz' equation beside a shift: a ladder in, panels out.

Next to a resonance a solution is one large wave, whatever the source, and problems with such
solutions are drawn again. So an error over omega is read above the distance of every omega from
the nearest resonance, and above the share of problems that a corpus does not hold.
"""

from data_shards.catalogue import load_card
from data_shards.ladders import Ladder
from evaluation.board.shift_plot import Panel
from foundation.physics.resonance import resonance_distance


def resonance_panels(ladder: Ladder) -> tuple[Panel, ...]:
    """Distances from resonance and redrawn problems at all omegas of a ladder.

    Args:
        ladder: any; of other equations than Helmholtz' nothing is said.
    """
    base = load_card(ladder.base)
    if base.generator_options.get("equation") != "helmholtz":
        return ()
    diffusion = base.parameters["diffusion"].low
    ranges = [rung.range or (rung.value, rung.value) for rung in ladder.rungs]
    omegas = [float(omega) for low, high in ranges for omega in range(round(low), round(high) + 1)]
    distances = {omega: resonance_distance(omega, diffusion) for omega in omegas}
    redrawn = {omega: ladder.redrawn.get(omega, 0.0) for omega in omegas}
    return (
        Panel("distance to\nresonance", distances, "log"),
        Panel("drawn again", redrawn, "linear"),
    )
