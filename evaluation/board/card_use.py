"""How to call a checkpoint from Python: its configuration in, a section of its card out."""

from collections.abc import Sequence

from data_shards.card import CorpusCard
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from foundation.constraint.config import ConstraintConfig
from foundation.models.flow import FlowConfig
from foundation.models.registry import ModelConfig

_USE = """## How to use it

```python
from foundation import Surrogate  # pip install moe-pot

model = Surrogate.from_pretrained("{name}")  # this folder, or its name on the Hub
future = model.forecast(context, steps=10)
```

`context` is (B, {frames}, C, {side}, {side}), `future` (B, 10, C, {side}, {side}). Fields are in
physical units, at most {channels} channels, rows along y upwards; corpora with an obstacle take
`mask=`.
"""
_SOLVE = """## How to use it

```python
from foundation import Surrogate  # pip install moe-pot

model = Surrogate.from_pretrained("{name}")  # this folder, or its name on the Hub
solution = model.solve({first}, {{{others}}})
```

`{first}` is (B, {side}, {side}), as is every channel of the solution; coefficients are numbers, or
one of each sample. Slots: {slots}; what is not given is zero. The domain is periodic.
"""

_CONSTRAINED = """## How to use it

```python
import torch

from data_shards.stream.origin import Origin
from foundation import Surrogate  # pip install moe-pot

model = Surrogate.from_pretrained("{name}")  # this folder, or its name on the Hub
first = torch.rand(1, {frames}, 1, {grid})
origin = {origin}
future = model.forecast(first, {steps}, origins=(origin,))
```

Every sample has an origin: seconds between frames, x_min, x_max, y_min, y_max, and the numbers of
the equation, {equation}; these ones are {whence}. `future` is (1, {steps}, 1, {grid}), in physical
units: the sum of the network's fields that solves the equation best.
"""

OF_STATES = ("pg_moe",)  # architectures
_STATES = """## How to use it

```python
import torch

from foundation import Surrogate  # pip install moe-pot

model = Surrogate.from_pretrained("{name}")  # this folder, or its name on the Hub
amplitudes = model.solve(torch.full((1, {grid}), 0.5))
```

`{first}` is (B, {grid}), alike in all states if it is one number; so are the amplitudes, whose
squares sum to one. Neither their sign nor a phase means anything.
"""
_FRAMES = """## How to use it

```python
import torch

from foundation import Surrogate  # pip install moe-pot

model = Surrogate.from_pretrained("{name}")  # this folder, or its name on the Hub
{given} = torch.randn({given_shape})  # u, v, w on the lower faces of their cells{others}
mask = torch.ones({grid})  # 0 in solid cells
{call}  # {asked_shape}
```

Fields are in physical units, {least} to {channels} channels, slices along z, rows along y, columns
along x. {holds}
An axis has walls if nothing passes its first plane of faces, unless `origins=` says where they are.
"""
_BY_CONSTRUCTION = """By construction, of any weights, trained or not, the velocity that comes out
crosses no wall and no solid and has no divergence beyond round-off: for rms speed 1 in a box of
side 1 its largest `|div|` is below 1e-11 in float64, as it comes, some 1e-5 once in float32."""
_FREELY = "That its velocity has no divergence and enters no solid is learnt, and true of no frame."


def how_to_use(name: str, config: ModelConfig, corpora: Sequence[str]) -> str:
    """The section that shows a call, in markdown; its code runs as it stands where it gives inputs.

    Args:
        name: of the checkpoint's folder.
        config: of its network.
        corpora: that it was trained on.
    """
    if config.model_type in OF_STATES:
        grid = ", ".join(map(str, config.grid))
        return _STATES.format(name=name, first=config.layout.slots[0], grid=grid)
    if slots := config.layout.slots:
        first, *others = slots
        return _SOLVE.format(
            name=name,
            first=first,
            others=", ".join(f'"{other}": 0.01' for other in others[:2]),
            slots=", ".join(f"`{slot}`" for slot in slots),
            side=config.resolution,
        )
    if isinstance(config, FlowConfig):
        return _of_boxes(name, config)
    if config.constraint is not None:
        return _of_constraint(name, config, config.constraint, corpora)
    return _USE.format(
        name=name,
        frames=config.context_frames,
        side=config.resolution,
        channels=config.channels,
    )


def _of_boxes(name: str, config: FlowConfig) -> str:
    channels, frames = config.least_channels, config.context_frames
    grid = ", ".join(map(str, config.grid))
    given, given_shape = "context", f"1, {frames}, {channels}, {grid}"
    call, asked_shape = "future = model.forecast(context, 10, mask)", f"(1, 10, {channels}, {grid})"
    if config.reconstructs:
        given, given_shape = "frames", f"1, {channels}, {grid}"
        call, asked_shape = "same = model.reconstruct(frames, mask)", f"({given_shape})"
    return _FRAMES.format(
        name=name,
        given=given,
        given_shape=given_shape,
        call=call,
        asked_shape=asked_shape,
        grid=grid,
        least=channels,
        channels=config.channels,
        others="; others may follow" if config.channels > channels else "",
        holds=_FREELY if config.autoencoder.velocity == "free" else _BY_CONSTRUCTION,
    )


def _of_constraint(
    name: str, config: ModelConfig, constraint: ConstraintConfig, corpora: Sequence[str]
) -> str:
    card = _card_of(corpora)
    origin = Origin(parameters=dict.fromkeys(constraint.evolution.parameters, 1.0))
    if card is not None and card.dt_s is not None and card.extent is not None:
        middles = {key: (limits.low + limits.high) / 2 for key, limits in card.parameters.items()}
        own = {key: middles.get(key, 1.0) for key in constraint.evolution.parameters}
        origin = Origin(card.dt_s, card.extent, own)
    return _CONSTRAINED.format(
        name=name,
        frames=config.context_frames,
        grid=", ".join(map(str, config.grid)),
        origin=f"Origin({origin.dt_s}, {origin.extent}, {origin.parameters})",
        steps=config.out_frames,
        equation=constraint.equation,
        whence="to be replaced" if card is None else f"those of {card.name}",
    )


def _card_of(corpora: Sequence[str]) -> CorpusCard | None:
    """Of the first corpus that has one here."""
    for corpus in corpora:
        try:
            return load_card(corpus)
        except UserError:  # a corpus of the user's own
            continue
    return None
