"""Laws of networks on other grids: waves they know pass, their own cells stay, no square forced."""

import pytest
import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation import Surrogate
from foundation.models.native import Finer, Model, finer_than, interleaved, joined, on_cells
from foundation.models.registry import build_model, read_model_config
from foundation.models.rollout import rollout
from foundation.models.types import Prediction
from foundation.nn.fourier import FourierLayer

SIZES = {
    "model_type": "moe_pot",
    "resolution": 16,
    "patch": 4,
    "width": 16,
    "blocks": 1,
    "heads": 2,
    "modes": 32,
    "head_width": 8,
    "router": {"num_experts": 4, "top_k": 2},
}
PERIODIC = Origin(boundary=dict.fromkeys(("left", "right", "bottom", "top"), "periodic"))


def _batch(given: Tensor, fluid: Tensor | None = None) -> Batch:
    count, _, channels, rows, columns = given.shape
    valid = torch.ones(count, 1, rows, columns) if fluid is None else fluid
    ones = torch.ones(count, channels)
    return Batch(given, given, ones, valid, torch.zeros(count).long(), ("a",) * count)


def _wave(rows: int, columns: int, along_y: int, along_x: int) -> Tensor:
    """One wave (1, 2, 1, H, W), growing from frame to frame."""
    y, x = (torch.arange(n, dtype=torch.float64) / n for n in (rows, columns))
    phase = 2 * torch.pi * (along_y * y[:, None] + along_x * x[None, :])
    return torch.stack([phase.sin(), 1.1 * phase.sin()])[None, :, None]


def _doubling(batch: Batch) -> Prediction:
    """A network that knows one grid and doubles the last frame."""
    assert batch.given.shape[-2:] == (16, 16)
    fields = 2 * batch.given[:, -1:]
    return Prediction(fields, (), fields.new_empty(len(batch), 0))


@pytest.mark.parametrize("grid", [(32, 32), (64, 64), (32, 16), (16, 48)])
def test_waves_of_the_own_grid_are_predicted_on_all_cells(grid: tuple[int, int]) -> None:
    finer = finer_than(grid, (16, 16))
    wave = _wave(*grid, 3, 5)
    found = rollout(on_cells(_doubling, finer, (True, True)), _batch(wave), 3)
    for frame in range(3):
        wanted = 2 ** (frame + 1) * wave[:, 1]
        torch.testing.assert_close(found[:, frame], wanted, atol=1e-9, rtol=0)


def test_waves_that_the_own_grid_cannot_hold_are_never_shown_to_it() -> None:
    """They fade as they did: by 1.1 / 1, so not at all, and by half."""
    short, long = _wave(32, 32, 11, 2), _wave(32, 32, 3, 2)
    seen: list[Tensor] = []

    def doubling(batch: Batch) -> Prediction:
        seen.append(batch.given)
        return _doubling(batch)

    model = on_cells(doubling, Finer(2, 2), (True, True))
    for fading, size in ((short, 1.0), (torch.cat([2 * short[:, 1:], short[:, 1:]], 1), 0.5)):
        found = model(_batch(fading + long)).fields
        wanted = size * short[:, -1:] + 2 * long[:, -1:]
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)
    parts = [part.given for part in interleaved(_batch(long), Finer(2, 2))]
    torch.testing.assert_close(torch.stack(seen[:4]), torch.stack(parts), atol=1e-9, rtol=0)


@pytest.mark.parametrize("periodic", [(False, False), (False, True), (True, False)])
def test_between_walls_the_own_cells_are_shown_and_waves_come_back(
    periodic: tuple[bool, bool],
) -> None:
    """Cells that lie as those learnt to both walls; a layer that no wave of them holds stays."""

    def halves(cells: int, along_y: int, along_x: int) -> Tensor:
        """Of half waves so many: even numbers go on across the ends, too."""
        places = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * torch.pi
        return (along_y * places).cos()[:, None] * (along_x * places).cos()

    wave, layer = halves(32, 6, 10), halves(32, 26, 26)
    seen: list[Tensor] = []

    def doubling(batch: Batch) -> Prediction:
        seen.append(batch.given)
        return _doubling(batch)

    fields = (wave + 0.1 * layer).expand(1, 2, 1, 32, 32)
    found = on_cells(doubling, Finer(2, 2), periodic)(_batch(fields)).fields
    assert len(seen) == 2 ** sum(periodic)
    torch.testing.assert_close(found[0, 0, 0], 2 * wave + 0.1 * layer, atol=1e-9, rtol=0)
    if not any(periodic):
        torch.testing.assert_close(seen[0][0, 0, 0], halves(16, 6, 10), atol=1e-9, rtol=0)


def test_short_waves_fade_over_the_frames_of_one_answer_as_over_those_of_many() -> None:
    short, long = _wave(32, 32, 11, 2), _wave(32, 32, 3, 2)

    def keeping(frames: int) -> Model:
        def predict(batch: Batch) -> Prediction:
            fields = batch.given[:, -1:].repeat(1, frames, 1, 1, 1)
            return Prediction(fields, (), fields.new_empty(len(batch), 0))

        return on_cells(predict, Finer(2, 2), (True, True))

    context = _batch(torch.cat([2 * short[:, :1], short[:, :1]], 1) + long[:, -1:])
    wanted = torch.stack([0.5**k * short[:, 0] + long[:, -1] for k in range(1, 7)], 1)
    for frames in (1, 3):
        found = rollout(keeping(frames), context, 6)
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)


def test_padding_stays_constant_on_finer_cells() -> None:
    fields = torch.ones(1, 2, 2, 96, 96)
    fields[:, :, 0] = torch.randn(1, 2, 96, 96, generator=torch.Generator().manual_seed(0))

    def model(batch: Batch) -> Prediction:
        assert (batch.given[:, :, 1] == 1).all()
        return Prediction(batch.given[:, -1:], (), batch.given.new_empty(len(batch), 0))

    found = on_cells(model, Finer(6, 6))(_batch(fields)).fields
    assert (found[:, :, 1] == 1).all()


def test_around_solids_cells_stay_apart() -> None:
    fluid = torch.ones(1, 1, 32, 32)
    fluid[..., 5, 5] = 0
    fields = torch.randn(1, 2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found = on_cells(_doubling, Finer(2, 2))(_batch(fields, fluid)).fields
    torch.testing.assert_close(found, 2 * fields[:, -1:], rtol=0, atol=0)


def test_answers_are_read_before_the_next_call_writes_over_them() -> None:
    """As a network does whose calls are replayed on a GPU."""
    fluid = torch.ones(1, 1, 32, 32)
    fluid[..., 5, 5] = 0
    fields = torch.randn(1, 2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    memory = torch.empty(1, 1, 1, 16, 16)

    def model(batch: Batch) -> Prediction:
        memory.copy_(batch.given[:, -1:])
        return Prediction(memory, (), memory.new_empty(len(batch), 0))

    found = on_cells(model, Finer(2, 2))(_batch(fields, fluid)).fields
    torch.testing.assert_close(found, fields[:, -1:], rtol=0, atol=0)


def test_parts_come_together_as_they_were() -> None:
    fields = torch.arange(2.0 * 3 * 8 * 12).view(1, 2, 3, 8, 12)
    finer = Finer(2, 3)
    parts = [part.given for part in interleaved(_batch(fields), finer)]
    assert len(parts) == finer.parts == 6
    assert all(part.shape[-2:] == (4, 4) for part in parts)
    torch.testing.assert_close(joined(parts, finer), fields, rtol=0, atol=0)


def test_what_is_longer_has_more_of_the_same_cells_and_what_is_finer_smaller_ones() -> None:
    assert finer_than((64, 128), (64, 64)) == Finer(1, 2)
    assert finer_than((64, 128), (64, 64), lengths=(1.0, 2.0)) == Finer(1, 1)
    assert finer_than((128, 256), (64, 64), lengths=(0.5, 1.0)) == Finer(2, 2)
    for grid, lengths in (((48, 64), None), ((32, 32), None), ((64, 64), (1.0, 1.5))):
        with pytest.raises(UserError, match="regrid"):
            finer_than(grid, (64, 64), lengths)
    for lengths in ((0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (1.0,), (1.0, 1.0, 1.0)):
        with pytest.raises(UserError, match="two positive numbers"):
            finer_than((64, 64), (64, 64), lengths)


def test_on_its_own_grid_a_network_is_called_as_it_is() -> None:
    network = build_model(read_model_config(SIZES, "test"), seed=0)
    assert on_cells(network, finer_than((16, 16), (16, 16))) is network


@pytest.mark.parametrize("model_type", ["moe_pot", "dpot"])
def test_planes_of_two_to_one_are_forecast_without_a_square(model_type: str) -> None:
    sizes = {**SIZES, "model_type": model_type}
    if model_type == "dpot":
        del sizes["router"]
    config = read_model_config(sizes, "test")
    model = Surrogate(build_model(config, seed=0), config, {}).eval()
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(2, 10, 3, 16, 32, generator=generator)
    longer = model.forecast(context, 2, lengths=(1.0, 2.0))
    finer = model.forecast(context, 2, origins=(PERIODIC,) * 2)
    assert longer.shape == finer.shape == (2, 2, 3, 16, 32)
    assert torch.isfinite(longer).all()
    assert (longer - finer).abs().max() > 1e-3
    own = model.forecast(context[..., :16], 2)
    square = model.forecast(context[..., :16], 2, lengths=(1.0, 1.0))
    torch.testing.assert_close(square, own, rtol=0, atol=0)  # the same call on the same cells
    with pytest.raises(UserError, match="whole patches of 4"):
        model.forecast(context[..., :18], 2, lengths=(16.0, 18.0))


def test_patches_of_an_fno_are_whole_ones_on_finer_planes() -> None:
    sizes = {"model_type": "fno", "resolution": 16, "width": 4, "modes": 2, "patch": 4}
    config = read_model_config({**sizes, "residual": True, "skip": True}, "test")
    model = Surrogate(build_model(config, seed=0), config, {}).eval()
    context = torch.randn(2, 10, 3, 16, 32, generator=torch.Generator().manual_seed(1))
    finer = model.forecast(context, 2, origins=(PERIODIC,) * 2)
    assert finer.shape == (2, 2, 3, 16, 32)
    assert torch.isfinite(finer).all()
    with pytest.raises(UserError, match="a fno knows the waves of its own domain"):
        model.forecast(context, 2, lengths=(1.0, 2.0))


def test_positions_lie_between_their_own_and_a_ramp_stays_one() -> None:
    network = build_model(read_model_config(SIZES, "test"), seed=0)
    ramp = torch.linspace(0.5, 3.5, 4).view(1, 1, 4, 1).expand(1, 4, 4, 16)
    network.position.data.copy_(ramp)
    assert network.position_on(4, 4) is network.position
    found = network.position_on(4, 8)[0, 0, :, 0]
    # Centres of half as long patches: a quarter before and behind those of the whole ones.
    torch.testing.assert_close(found[1:-1], torch.linspace(0.75, 3.25, 6))


def test_on_a_longer_plane_waves_of_the_same_lengths_are_kept() -> None:
    told, silent = FourierLayer(8, 2, 3, side=8), FourierLayer(8, 2, 3)
    generator = torch.Generator().manual_seed(0)
    told.reset(generator)
    silent.load_state_dict(told.state_dict())
    square = torch.randn(1, 8, 8, 8, generator=generator)
    torch.testing.assert_close(told(square), silent(square), rtol=0, atol=0)
    longer = torch.randn(1, 8, 16, 8, generator=generator)
    wider = FourierLayer(8, 2, 6)
    wider.load_state_dict(told.state_dict())
    kept = wider(longer.transpose(1, 2)[:, :16]).shape
    assert kept == (1, 16, 8, 8)
    assert (told(longer) - silent(longer)).abs().max() > 1e-6  # waves 3 to 5 are as short as 1.5
