"""A forecast beside the truth, with all that a metric may ask about it.

Axes: B samples, T predicted frames, C channels of the corpus, H rows, W columns
of the scored grid. What several metrics need is computed once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from torch import Tensor

from data_shards.stream.origin import Origin
from evaluation.metrics.relative import l2re_per_frame
from evaluation.metrics.spectral import Bands, band_errors


@dataclass(frozen=True)
class Setting:
    """What holds for all samples of a task; it decides which metrics apply.

    Attributes:
        grid: cells that are scored, along each axis.
        pde: name of the equation, as the card has it.
        vrmse: what the variance of VRMSE is divided by: the points, or one less (`the_well`).
        given: names of the given fields, if the scored grid is that of the data.
        staggered: channels on the lower faces of their cells -> axis, likewise.
        latents: whether the model forecasts latents.
        frames: predicted frames.
        channels: names of the channels, in order.
        sides: boundary condition of every side that is one: neither periodic nor uniform.
        conserved: quantity -> densities, expressions in channels and parameters; the integral
            of each over the domain stays constant.
        solenoidal: the two channels of a velocity without divergence; None if there is none.
        threshold: L2RE of a frame up to which a forecast is valid.
        members: of the ensemble; 1 of a single forecast.
        level: share of points that a band is to cover; None without bands.
    """

    grid: tuple[int, ...]
    frames: int
    channels: tuple[str, ...]
    sides: tuple[str, ...] = ()
    conserved: Mapping[str, tuple[str, ...]] | None = None
    solenoidal: tuple[str, str] | None = None
    threshold: float = 0.2
    pde: str = ""
    given: tuple[str, ...] = ()
    staggered: Mapping[str, str] = field(default_factory=dict)
    vrmse: str = "points"
    members: int = 1
    level: float | None = None
    latents: bool = False


@dataclass(frozen=True)
class Forecast:
    """Predicted and true frames of some samples.

    Attributes:
        pred_BTCHW: prediction, physical units.
        true_BTCHW: truth.
        points_B1CHW: 1 where a point counts, 0 elsewhere.
        setting: what holds for all of them.
        origins: of every sample (B).
        beyond_BTCHW: further predicted frames, of which there is no truth.
        given: given fields by the names of their channels, (B, T_in, H, W) each.
        made_BTCHW: the prediction with all digits that the model gave; None of what was stored.
        members_MBTCHW: of an ensemble, whose mean is the prediction; None of a single forecast.
        half_BTCHW: half the width of the band about the prediction; None without bands.
        latent_B: squared error of the first frame's latents, relative to their own square.
    """

    pred_BTCHW: Tensor
    true_BTCHW: Tensor
    points_B1CHW: Tensor
    setting: Setting
    origins: tuple[Origin, ...]
    beyond_BTCHW: Tensor | None = None
    given: Mapping[str, Tensor] = field(default_factory=dict)
    made_BTCHW: Tensor | None = None
    members_MBTCHW: Tensor | None = None
    half_BTCHW: Tensor | None = None
    latent_B: Tensor | None = None

    def with_latents(self, latent_B: Tensor) -> "Forecast":
        """The same of a model that forecasts latents."""
        return replace(self, setting=replace(self.setting, latents=True), latent_B=latent_B)

    @cached_property
    def per_frame_BT(self) -> Tensor:
        """L2RE of each frame (B, T)."""
        return l2re_per_frame(self.pred_BTCHW, self.true_BTCHW, self.points_B1CHW)

    @cached_property
    def bands(self) -> Bands:
        """Relative error per band of wave numbers, each (B,)."""
        return band_errors(self.pred_BTCHW, self.true_BTCHW, self.points_B1CHW)
