"""FNO whose layers mix spectra by experts that each sample chooses; see fno.py.

Axes: B samples, S the grid, K kept modes, D width.
A layer is an FNO's but for its spectral weights: a shared set that every sample passes, and the
weighted sum of the sets that the sample's router chose. Everything else is the dense network's, but
that by `routed_ends` the maps before and after the layers are mixtures, too.
Of no paper: MoE-POT's router (NeurIPS 2025) and FNO's layers (ICLR 2021).
"""

from dataclasses import replace
from math import hypot, prod
from typing import Literal, Self

from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import later
from foundation.models.annealed import AnnealedNetwork, with_context
from foundation.models.mixture import Mixture
from foundation.models.spectral_network import SpectralConfig, SpectralNetwork, work_with
from foundation.models.types import ParameterCounts
from foundation.models.work import Work
from foundation.moe.gate import gate_products
from foundation.moe.merged import MergedMaps
from foundation.moe.router import RouterConfig, Routing
from foundation.moe.spectral import SpectralMixture, num_octaves
from foundation.nn.spectral import from_lowest_modes, lowest_modes, wave_vectors


class MoEFNOConfig(SpectralConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["moe_fno"] = "moe_fno"
    # Of the kept modes, the lowest on which experts act; the others have the shared one alone.
    routed_modes: PositiveInt | None = None  # per axis and sign; None: all
    shared: bool = True  # whether there is an expert that every sample passes
    routed_ends: bool = later(False)  # whether lift and projections add chosen ones to shared ones
    router: RouterConfig = RouterConfig()

    @model_validator(mode="after")
    def _routed_modes_are_kept_ones(self) -> Self:
        if self.routed_modes is not None and self.routed_modes > self.modes:
            raise ValueError(
                f"routed_modes={self.routed_modes} exceeds modes={self.modes}; lower it"
            )
        if not self.shared and len(self.routed) < self.kept_modes:
            raise ValueError("shared=false leaves the modes above routed_modes to no expert")
        if self.routed_ends and not self.router.decides_first:
            raise ValueError(
                "routed_ends: the lift comes before the layers' gates; set router.sees=context, "
                "or router.by"
            )
        if self.router.unit != "sample":
            raise ValueError(
                f"router.unit={self.router.unit}: spectra of whole samples are mixed; set "
                "router.unit=sample"
            )
        return self

    @property
    def wave_vectors(self) -> list[tuple[int, ...]]:
        """Of the kept modes, in waves per side."""
        return wave_vectors(self.modes, len(self.mapped_grid))

    @property
    def routed(self) -> list[int]:
        """Places among the kept modes of those on which experts act."""
        kept = set(wave_vectors(self.routed_modes or self.modes, len(self.mapped_grid)))
        return [place for place, vector in enumerate(self.wave_vectors) if vector in kept]

    @property
    def mixture(self) -> Mixture:
        return Mixture(
            self.router,
            blocks=self.layers,
            tokens=len(self.routed),
            width=2 * self.width,
            features=2 * self.width,
            num_shared=int(self.shared),
        )


class Layer(nn.Module):
    """As the dense layer, but for a mixture of spectral convolutions."""

    def __init__(self, config: MoEFNOConfig, last: bool) -> None:
        super().__init__()
        self.modes, self.residual, self.last = config.modes, config.residual, last
        self.spectral = SpectralMixture(
            config.width,
            [hypot(*vector) for vector in config.wave_vectors],
            config.routed,
            config.shared,
            config.router,
        )
        self.local = nn.Linear(config.width, config.width)

    def forward(
        self, x_BSD: Tensor, temperature: Tensor, decided: Routing | None
    ) -> tuple[Tensor, Routing]:
        """(B, *S, D) -> (B, *S, D) and the layer's routing."""
        grid = x_BSD.shape[1:-1]
        lowest = lowest_modes(x_BSD, self.modes)
        modes_BKD, routing = self.spectral(lowest, prod(grid), temperature, decided)
        spectral = from_lowest_modes(modes_BKD, grid, self.modes)
        x: Tensor = self.local(x_BSD) + spectral.to(x_BSD.dtype)
        x = x if self.last else F.gelu(x)
        return (x_BSD + x if self.residual else x), routing


class MoEFNO(SpectralNetwork, AnnealedNetwork):
    """The mixture-of-experts Fourier neural operator."""

    config: MoEFNOConfig

    def __init__(self, config: MoEFNOConfig) -> None:
        count = config.layers
        super().__init__(config, (Layer(config, last=n == count - 1) for n in range(count)))

    @property
    def router(self) -> RouterConfig:
        return self.config.router

    def end(self, features: int, width: int) -> nn.Module:
        if self.config.routed_ends:
            return MergedMaps(features, width, self.router.num_experts)
        return super().end(features, width)

    def through_end(self, end: nn.Module, rows_BSF: Tensor, decided: Routing | None) -> Tensor:
        if not isinstance(end, MergedMaps):
            return super().through_end(end, rows_BSF, decided)
        assert decided is not None, "ends are routed where that is decided before the layers"
        mapped: Tensor = end(rows_BSF, decided.weights_BE)
        return mapped

    def through_layers(
        self, x_BSD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        return self.routed_through(self.layers, x_BSD, decided)

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes."""
        total = sum(p.numel() for p in self.parameters())
        config = self.config
        idle = config.router.num_experts - config.router.top_k
        expert = config.layers * len(config.routed) * 2 * config.width**2
        expert += sum(end.of_expert for end in self.modules() if isinstance(end, MergedMaps))
        return ParameterCounts(total, total - idle * expert)


def work(config: MoEFNOConfig) -> Work:
    """Of a forward pass on one sample."""
    of_mode, router = (2 * config.width) ** 2, config.router
    routed, waves = len(config.routed), config.wave_vectors
    mixing = (router.top_k * routed + config.shared * config.kept_modes) * of_mode
    octaves = num_octaves([hypot(*vector) for vector in waves])
    by_octave = gate = 0
    rows = router.top_k * routed + config.shared * config.kept_modes
    if router.by == "gate":  # its gradient asks for the modes that it routed
        rows += router.top_k * routed
    if not router.decides_first:  # a layer's gate sees all modes
        by_octave = config.kept_modes * octaves * config.width
        gate = gate_products(config.width * (1 + octaves), router.num_experts)
        rows += config.kept_modes
    experts = router.num_experts if config.routed_ends else 0
    kept = 2 * config.width * rows
    whole = work_with(config, mixing + gate + by_octave, kept, shared=0, experts=experts)
    whole = with_context(whole, config, router)
    # Of the sums over octaves one factor is fixed.
    return replace(whole, fixed_products=whole.fixed_products + 2 * config.layers * by_octave)
