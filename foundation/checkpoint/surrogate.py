"""Surrogate: what a user calls. Past frames of a simulation in, future frames out.

Axes: B samples, T frames, C channels, H rows, W columns (in a box D slices before
them); E routed experts, K chosen. Plain torch: no process group, no DeepSpeed.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.stream.assemble import Samples, to_batch
from data_shards.stream.batch import Batch
from data_shards.stream.layout import placed_by_name, placed_in_order
from data_shards.stream.origin import Origin
from foundation.checkpoint.files import MAX_SHARD_SIZE
from foundation.checkpoint.folder import find_folder, fingerprint_of, load_folder, save_folder
from foundation.checkpoint.share import push_checkpoint
from foundation.models.native import finer_than, on_cells
from foundation.models.registry import ModelConfig
from foundation.models.rollout import Model, rollout
from foundation.models.types import ParameterCounts, Prediction
from foundation.nn.compiled import compile_network, replayed_where_it_can_be


class BlockRoute(NamedTuple):
    """How one block routes a batch.

    probabilities: softmax over all routed experts (B, E); experts: chosen ones,
    best first (B, K); weights: theirs, summing to one (B, K).
    """

    probabilities: Tensor
    experts: Tensor
    weights: Tensor


Parameters = Mapping[str, float | Tensor]


def _origins(parameters: Parameters, count: int) -> tuple[Origin, ...]:
    """Parameters of every sample.

    Raises:
        UserError: as many values of one as there are neither samples nor one.
    """
    columns = {name: torch.as_tensor(value).flatten() for name, value in parameters.items()}
    for name, column in columns.items():
        if len(column) not in (1, count):
            raise UserError(f"{name} has {len(column)} values for {count} samples; wanted 1 each")
    rows = {name: column.expand(count).tolist() for name, column in columns.items()}
    return tuple(
        Origin(parameters={name: row[sample] for name, row in rows.items()})
        for sample in range(count)
    )


class Surrogate(nn.Module):
    """A pre-trained network with its configuration, of any architecture we ship."""

    def __init__(
        self, network: nn.Module, config: ModelConfig, about: dict[str, Any], fingerprint: str = ""
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.about = about
        self.fingerprint = fingerprint

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **hub: Any) -> Self:
        """Load a checkpoint folder or a hub repository, strictly, in evaluation mode.

        Args:
            name_or_path: folder, or hub id "owner/name".
            hub: `revision`, `cache_dir`, `local_files_only`, `token`, `endpoint`.

        Raises:
            UserError: it cannot be found or read.
        """
        folder = find_folder(str(name_or_path), **hub)
        network, config, about = load_folder(folder)
        return cls(network, config, about, fingerprint_of(folder)).eval()

    def save_pretrained(
        self, folder: str | Path, max_shard_size: int | str = MAX_SHARD_SIZE
    ) -> None:
        """Write a checkpoint folder that `from_pretrained` reads.

        Args:
            folder: made if missing; a checkpoint that is there is replaced.
            max_shard_size: bytes of a file of weights, or text such as "2GB".

        Raises:
            UserError: the size is none.
        """
        weights = self.network.state_dict()
        save_folder(Path(folder), self.config, weights, self.about, max_shard_size)

    def push_to_hub(
        self, repo: str, *, max_shard_size: int | str = MAX_SHARD_SIZE, **hub: Any
    ) -> str:
        """Put configuration and weights on the Hub in one commit.

        A checkpoint folder with its card and results is shared by `foundation push`.

        Args:
            repo: as "owner/name"; made if there is none.
            max_shard_size: bytes of a file of weights, or text such as "2GB".
            hub: `private`, `revision`, `message`, `token`, `endpoint`.

        Returns:
            The commit's address.

        Raises:
            UserError: the Hub does not take it.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / repo.rpartition("/")[2]
            self.save_pretrained(folder, max_shard_size)
            return push_checkpoint(folder, repo, **hub)

    def compiled(self) -> Self:
        """Compile the network, in place: worth its time before many forecasts.

        Call it last, after `.to` and `.bfloat16`. In bfloat16, and on a GPU in float32 too, the
        network becomes one graph, which a GPU (in bfloat16 of compute capability 9 or more)
        replays as a CUDA graph: what the network gave is then overwritten by its next call. In
        float32 on a CPU mixtures stay outside the graphs.

        Raises:
            UserError: there is no C++ compiler.
        """
        compile_network(self.network, replayed_where_it_can_be(self.network))
        return self

    def forward(self, batch: Batch) -> Prediction:
        """The network's own call."""
        prediction: Prediction = self.network(batch)
        return prediction

    @torch.no_grad()
    def forecast(
        self,
        context: Tensor,
        steps: int,
        mask: Tensor | None = None,
        origins: tuple[Origin, ...] = (),
        lengths: tuple[float, float] | None = None,
    ) -> Tensor:
        """Predict future frames.

        Args:
            context: past frames (B, T, C, H, W) on the model's grid, or on a plane of a whole
                number of its cells (`foundation.models.native`), physical units; more frames
                than the model takes are cut to the last ones.
            steps: frames wanted.
            mask: (B, 1, *S) or (*S), 1 in the fluid, 0 in solid cells, their share where a
                cell holds both (as `data_shards.stream.layout.resize_mask` gives); it also
                follows the fields as a channel, as in training on obstacle corpora. What the
                context of a plane holds in cells that are all solid does not matter: the network
                sees 0 there, as in training, and the answer has the values of the last frame.
            origins: of every sample (B): time step, extent, parameters and boundaries. A model
                under an equation asks for them; one of flow in boxes takes walls and the shape of
                its cells from them; others pass them over. On finer cells than the model's, which
                sides are periodic: of samples that do not agree, or are not told, none.
            lengths: of a domain along y and x that is no square, of a transformer (MoE-POT, DPOT);
                others know theirs alone. By default it is what the model
                learnt, however many cells there are.

        Returns:
            (B, steps, C, H, W).

        Raises:
            UserError: the context does not have the model's shape, or the model routes by corpus.
        """
        if steps < 1:
            raise UserError(f"steps={steps}, wanted 1 or more")
        if self.config.reconstructs:
            raise UserError(
                f"this {self.config.model_type} reconstructs frames; call reconstruct(frames)"
            )
        if self.config.routes_by_corpus:
            raise UserError(
                "this model has an expert for each corpus of its training (router.by=corpus), and "
                "a context is of none; judge it by `foundation evaluate`"
            )
        grid = self._grid_of(context, lengths)
        model = self.network if grid is None else self._on(grid, origins, lengths)
        batch = self.batch_of(context, mask, origins, grid)
        future = rollout(model, batch, steps)[:, :, : context.shape[2]]
        if mask is None or not self._hides_solids:
            return future
        solid_B11S = (self._fluid(mask, len(context), grid) <= 0).to(future.device)[:, None, None]
        return torch.where(solid_B11S, context[:, -1:].to(future), future)

    def _grid_of(
        self, context: Tensor, lengths: tuple[float, float] | None
    ) -> tuple[int, ...] | None:
        """The plane that a context is on; None where it is the model's, or can be no other."""
        own = self.config.layout.grid
        if not isinstance(context, Tensor) or context.ndim != 3 + len(own) or len(own) != 2:
            return None
        grid = tuple(context.shape[3:])
        fixed = self.config.constraint is not None or min(own) == 1
        return None if fixed or (grid == own and lengths is None) else grid

    def _on(
        self,
        grid: tuple[int, ...],
        origins: tuple[Origin, ...],
        lengths: tuple[float, float] | None,
    ) -> Model:
        """The network on the cells of a plane.

        Raises:
            UserError: they are no whole number of its own, do not make whole patches, or are those
                of a longer domain, and the network does not go on.
        """
        finer = finer_than(grid, self.config.layout.grid, lengths)
        own = (grid[0] // finer.rows, grid[1] // finer.columns)
        if own != self.config.layout.grid and not self.config.goes_on:
            raise UserError(
                f"lengths={lengths}: a {self.config.model_type} knows the waves of its own domain, "
                "not of a longer one; cut the plane, or take moe_pot or dpot"
            )
        patch = getattr(self.config, "patch", 1)
        if any(count % patch for count in own):
            raise UserError(
                f"a plane of {grid[0]} x {grid[1]} cells is not made of whole patches of {patch}; "
                "regrid it"
            )
        sides = [origin.boundary or {} for origin in origins]
        rows, columns = (
            bool(sides) and all(side.get(name) == "periodic" for side in sides)
            for name in ("bottom", "left")
        )
        return on_cells(self.network, finer, (rows, columns))

    @torch.no_grad()
    def reconstruct(
        self, frames: Tensor, mask: Tensor | None = None, origins: tuple[Origin, ...] = ()
    ) -> Tensor:
        """Encode and decode frames, by a tokenizer.

        Args:
            frames: (B, C, *S) on the model's grid, physical units.
            mask: as for `forecast`.
            origins: as for `forecast`.

        Returns:
            (B, C, *S); velocity in float64, without divergence to its round-off.

        Raises:
            UserError: the model is no tokenizer, or the frames do not have its shape.
        """
        if not self.config.reconstructs:
            raise UserError(
                f"this {self.config.model_type} does not reconstruct frames; call forecast"
            )
        prediction: Prediction = self.network(self.batch_of(frames[:, None], mask, origins))
        return prediction.fields[:, 0, : frames.shape[1]]

    @torch.no_grad()
    def solve(
        self, given: Tensor | Mapping[str, Tensor], parameters: Parameters | None = None
    ) -> Tensor:
        """Answer a problem whose asked fields are others than the given ones.

            model.solve(source, {"k11": 0.02, "k22": 0.05, "k12": 0.01})
            model.solve({"source": source, "v1": wind}, {"k11": 0.02, "k22": 0.02})
            model.solve({}, {"field": torch.linspace(0, 2, 9)})  # nothing varies in space

        Args:
            given: fields (B, *S) on the model's grid by the names of its slots; one tensor is
                the first slot's.
            parameters: numbers, or one per sample (B,), that fill slots as constants. Slots
                that nothing fills are zero: coefficients that the equation lacks.

        Returns:
            (B, asked channels, *S).

        Raises:
            UserError: the model knows its channels by place or takes several frames (`forecast`
                is for those), a name that has no slot, a field of another shape, or nothing for
                the first slot.
        """
        fields = {self._first_slot(): given} if isinstance(given, Tensor) else dict(given)
        layout, first = self.config.layout, self._first_slot()
        parameters = parameters or {}
        if first not in {*fields, *parameters}:
            raise UserError(f"no {first} is given, which this model begins with")
        for name, field in fields.items():
            if not isinstance(field, Tensor) or not len(field):
                raise UserError(f"{name} is {type(field).__name__}; wanted a tensor of samples")
        said = torch.as_tensor(fields[first] if first in fields else parameters[first])
        count = len(said) if said.ndim else 1
        for name, field in fields.items():
            if tuple(field.shape) != (count, *layout.grid):
                raise UserError(
                    f"{name} is {tuple(field.shape)}; this model takes (B, "
                    f"{', '.join(map(str, layout.grid))}), with one B for all fields"
                )
            if name in self.config.numbers and (field.flatten(1)[:, 0] != field.flatten(1).T).any():
                raise UserError(f"{name} varies over a sample; it is one number of each")
        device = next(self.parameters()).device
        none = torch.empty(count, 0, *layout.grid, device=device)
        columns = [none, *(field[:, None].to(device) for field in fields.values())]
        samples = Samples(
            given=torch.cat(columns, dim=1)[:, None],
            asked=None,
            fluid=None,
            placement=placed_by_name(list(fields), list(parameters), layout),
            keys=("",) * count,
            origins=_origins(parameters, count),
        )
        prediction: Prediction = self.network(to_batch([samples], layout))
        return prediction.fields[:, 0]

    def _first_slot(self) -> str:
        slots = self.config.layout.slots
        if not slots or self.config.context_frames != 1:
            raise UserError(
                f"this {self.config.model_type} continues frames; call forecast(context, steps)"
            )
        return slots[0]

    @torch.no_grad()
    def route(
        self, context: Tensor, mask: Tensor | None = None, origins: tuple[Origin, ...] = ()
    ) -> tuple[BlockRoute, ...]:
        """How every block routes each sample of a context.

        Args:
            context: past frames (B, T, C, H, W), as for `forecast`.
            mask: of an obstacle, as for `forecast`; the routers see it, too.
            origins: as for `forecast`.

        Raises:
            UserError: the network is dense, or the context does not have the model's shape.
        """
        if not self.config.num_routed:
            raise UserError(
                f"{self.config.model_type} is dense: it routes nothing; routes are a mixture's, "
                "as of moe_pot"
            )
        batch = self.batch_of(context, mask, origins)
        # Copies: a replayed graph overwrites what it gave.
        return tuple(
            BlockRoute(r.probabilities_BE, r.experts_BK.clone(), r.weights_BK.clone())
            for r in self(batch).routing
        )

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes."""
        counts: ParameterCounts = self.network.parameter_counts()  # type: ignore[operator]
        return counts

    def batch_of(
        self,
        context: Tensor,
        mask: Tensor | None = None,
        origins: tuple[Origin, ...] = (),
        grid: tuple[int, ...] | None = None,
    ) -> Batch:
        """A context as the network takes it: laid out as in training, nothing asked.

        Args:
            context: past frames (B, T, C, H, W), as for `forecast`.
            mask: of an obstacle, as for `forecast`.
            origins: as for `forecast`.
            grid: that the context is on; the model's by default.

        Raises:
            UserError: the context or the mask does not have the model's shape, or there are origins
                of some samples alone.
        """
        layout, frames = self.config.layout, self.config.context_frames
        if grid is not None:
            layout = layout.model_copy(update={"grid": grid})
        if layout.slots:
            raise UserError(
                f"this {self.config.model_type} knows its channels by name; call solve(fields, "
                "parameters)"
            )
        if not isinstance(context, Tensor):
            raise UserError(f"context is {type(context).__name__}; wanted a tensor")
        fits = (
            context.ndim == 3 + len(layout.grid)
            and len(context) > 0
            and context.shape[1] >= frames
            and self.config.least_channels <= context.shape[2] <= layout.channels
            and tuple(context.shape[3:]) == layout.grid
        )
        if not fits:
            raise UserError(
                f"context is {tuple(context.shape)}; this model takes (B, T, C, *grid) with "
                f"B >= 1, T >= {frames}, {self.config.least_channels} <= C <= {layout.channels}, "
                f"grid = {layout.grid}"
            )
        count, _, channels = context.shape[:3]
        if len(origins) not in (0, count):
            raise UserError(f"{len(origins)} origins for {count} samples; give one of each or none")
        device = next(self.parameters()).device
        fluid = None if mask is None else self._fluid(mask, count, grid).to(device)
        given = context[:, -frames:].to(device)
        if fluid is not None and self._hides_solids:
            given = given.masked_fill(fluid[:, None, None] <= 0, 0.0)
        samples = Samples(
            given=given,
            asked=None,
            fluid=fluid,
            placement=placed_in_order(channels, mask is not None, layout),
            keys=("",) * count,
            origins=origins,
        )
        return to_batch([samples], layout)

    @property
    def _hides_solids(self) -> bool:
        """Whether solid cells of the training held 0: of planes they did, boxes have flow there."""
        return len(self.config.layout.grid) == 2

    def _fluid(self, mask: Tensor, count: int, grid: tuple[int, ...] | None = None) -> Tensor:
        """A mask (*S) or (B, 1, *S) for every sample, (B, *S)."""
        grid = grid or self.config.layout.grid
        shapes = (grid, (1, *grid), (1, 1, *grid), (count, 1, *grid))
        if not isinstance(mask, Tensor) or tuple(mask.shape) not in shapes:
            wanted = ", ".join(map(str, grid))
            shape = tuple(getattr(mask, "shape", ())) or type(mask).__name__
            raise UserError(
                f"mask is {shape}; wanted a tensor ({wanted}) or ({count}, 1, {wanted})"
            )
        return mask.reshape(-1, *grid).expand(count, *grid)
