"""What one sample costs in one forward pass: a configuration in, counts out, nothing built.

Closed forms. Products (matrices and convolutions) are exact for the code as it is, the
transformers' transforms among them; a fast Fourier transform of N real points is taken as
2.5 N log2 N, of complex ones as twice that; element-wise work is left out. What is shared by a
batch, such as the coordinates' part of an embedding, is no sample's work and is left out too.
One multiply-add is 2 FLOPs. Whatever is chosen of a mixture is computed; the work with all
experts chosen is what a network would cost whose experts are all computed.
"""

from dataclasses import dataclass
from math import log2

from foundation.models.dpot import DPOTConfig
from foundation.models.fno import FNOConfig
from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.network import FrameConfig
from foundation.models.operator_transformer import OperatorTransformerConfig
from foundation.models.registry import ModelConfig
from foundation.models.unet import UNetConfig

_TAPS = 9  # of a 3 x 3 convolution


@dataclass(frozen=True)
class Work:
    """Of one sample.

    Attributes:
        products: FLOPs of matrix products and convolutions.
        transforms: FLOPs of fast Fourier transforms, an estimate.
        kept: numbers kept for the backward pass.
        shared: numbers kept besides, however many samples a batch has.
        fixed_products: of the products, those with a factor that needs no gradient: the frames,
            or the matrix of a transform.
        block_products: of the products, those in blocks, which may be recomputed.
        between: numbers kept outside blocks and at their entries.
        largest_block: numbers kept inside one block.
        passing: numbers that the way back through the widest maps needs for a moment.
    """

    products: int
    transforms: int
    kept: int
    shared: int
    fixed_products: int
    block_products: int
    between: int
    largest_block: int
    passing: int


def dense_work_of(config: ModelConfig) -> Work:
    """Work of a forward pass on one sample if all of its experts were computed."""
    if isinstance(config, MoEPOTConfig):
        router = config.router.model_copy(update={"top_k": config.router.num_experts})
        config = config.model_copy(update={"router": router})
    return work_of(config)


def expert_work_of(config: MoEPOTConfig) -> int:
    """FLOPs of one expert of every block in a forward pass on one sample."""
    router = config.router.model_copy(update={"top_k": config.router.top_k + 1})
    one_more = config.model_copy(update={"router": router})
    return work_of(one_more).products - work_of(config).products


def work_of(config: ModelConfig) -> Work:
    """Work of a forward pass on one sample."""
    if isinstance(config, MoEPOTConfig):
        return _transformer(config, *_mixture(config))
    if isinstance(config, DPOTConfig):
        return _transformer(config, *_perceptron(config))
    if isinstance(config, FNOConfig):
        return _fno(config)
    return _unet(config)


def _stacked(config: FrameConfig) -> int:
    """Channels of the stacked context with its two coordinates."""
    return config.context_frames * config.channels + 2


def _modulation(config: FrameConfig, width: int) -> int:
    """Multiply-adds of the statistics' maps."""
    return 4 * config.channels * width if config.instance_norm else 0


def _mixture(config: MoEPOTConfig) -> tuple[int, int]:
    """Multiply-adds and kept numbers of a block's mixture of experts."""
    tokens, width = (config.resolution // config.patch) ** 2, config.width
    features, chosen = width * config.mlp_ratio, config.router.top_k
    computed = chosen + config.num_shared
    attention = 4 * features * max(2 * features // 16, 1)
    gate = features * (4 * features + config.router.num_experts) + attention
    kept = 2 * features + computed * width
    work = tokens * features * width * (1 + computed)
    if config.router.unit == "sample":
        return work + gate, tokens * kept
    # Every token passes the gate, whose maps and norms keep what goes in.
    return work + tokens * gate, tokens * (kept + 14 * features)


def _perceptron(config: DPOTConfig) -> tuple[int, int]:
    """Multiply-adds and kept numbers of a block's perceptron."""
    tokens = (config.resolution // config.patch) ** 2
    features = config.width * config.mlp_ratio
    return 2 * tokens * features * config.width, 2 * tokens * features


def _transformer(config: OperatorTransformerConfig, mixing: int, mixing_kept: int) -> Work:
    side, pixels, width = config.resolution // config.patch, config.resolution**2, config.width
    tokens, frames = side * side, config.context_frames
    between = config.channels * config.patch + 3
    first = frames * tokens * between * config.channels * config.patch**2
    embed = first + frames * tokens * between * width
    rows, columns = min(config.modes, side), min(config.modes, side // 2 + 1)
    modes, transform = rows * columns, 2 * side * columns * (side + 2 * rows) * width
    fourier = modes * 2 * config.heads * (2 * width // config.heads) ** 2
    hidden = config.head_width
    head = tokens * width * config.patch**2 * hidden
    head += pixels * hidden * (hidden + config.channels * config.out_frames)
    classes = width * (2 * width + config.num_classes)
    products = embed + _modulation(config, width) + head + classes
    kept = frames * (config.channels * pixels + 2 * tokens * between) + 4 * hidden * pixels
    # Both norms' inputs and the last output; three stages of the perceptron in the spectrum.
    block_kept = 3 * tokens * width + 6 * modes * width + mixing_kept
    kept += 2 * tokens * width
    # Frames' weights with their phases, and the Fourier weights of every head in real form.
    phased = frames * width * width if config.time_aggregation == "exp_mlp" else 0
    spectral = 2 * config.heads * (2 * width // config.heads) ** 2
    places = 3 * frames * pixels + tokens * width  # coordinates, positions
    in_blocks = config.blocks * (2 * transform + fourier + mixing)
    return Work(
        products=2 * (products + in_blocks),
        transforms=0,
        kept=kept + config.blocks * block_kept,
        shared=phased + frames * between * width + config.blocks * spectral + places,
        fixed_products=2 * (first + config.blocks * 2 * transform),
        block_products=2 * in_blocks,
        between=kept + config.blocks * tokens * width,
        largest_block=block_kept,
        passing=2 * hidden * pixels,
    )


def _fno(config: FNOConfig) -> Work:
    side, pixels, width, modes = config.resolution, config.resolution**2, config.width, config.modes
    kept_modes = 2 * modes * modes
    layer = pixels * width * width + kept_modes * (2 * width) ** 2
    ends = _stacked(config) * width + config.projection * (
        width + config.channels * config.out_frames
    )
    # Along the columns' axis all rows are transformed, along the other the kept columns only.
    one_way = side * _real_transform(side) + modes * 2 * _real_transform(side)
    between = (2 * config.layers + 1) * width
    ends_kept = pixels * (_stacked(config) + 2 * config.projection)
    spectral = kept_modes * 2 * width
    return Work(
        products=2 * (pixels * ends + config.layers * layer + _modulation(config, width)),
        transforms=round(config.layers * width * 2 * one_way),
        kept=ends_kept + pixels * between + config.layers * spectral,
        shared=config.layers * kept_modes * (2 * width) ** 2,
        fixed_products=2 * pixels * _stacked(config) * width,
        block_products=2 * config.layers * layer,
        between=ends_kept + pixels * (config.layers + 1) * width,
        largest_block=2 * pixels * width + spectral,
        passing=2 * pixels * max(width, config.projection),
    )


def _unet(config: UNetConfig) -> Work:
    widths = [config.width * 2**level for level in range(config.levels)]
    points = [(config.resolution // 2**level) ** 2 for level in range(config.levels)]
    out = config.channels * config.out_frames
    first = points[0] * _TAPS * widths[0] * _stacked(config)
    products = first + points[0] * _TAPS * widths[0] * out
    kept = between = points[0] * (_stacked(config) + 4 * widths[0])
    in_blocks = 0
    for width, count in zip(widths, points, strict=True):
        in_blocks += count * _TAPS * 2 * width * width
        kept += count * 6 * width
        between += count * 2 * width
    for level in range(config.levels - 1):
        fine, coarse, many, few = widths[level], widths[level + 1], points[level], points[level + 1]
        shrink, grow = few * _TAPS * fine * coarse, many * coarse * fine
        block = many * fine * fine * (_TAPS * 3 + 2)  # convolutions 2 D -> D -> D and the shortcut
        products += shrink + grow
        in_blocks += block
        kept += many * fine + few * coarse + many * 9 * fine
        between += many * fine + few * coarse + many * 3 * fine
    largest = points[0] * widths[0] * (9 if config.levels > 1 else 6)
    return Work(
        products=2 * (products + in_blocks + _modulation(config, widths[0])),
        transforms=0,
        kept=kept,
        shared=0,
        fixed_products=2 * first,
        block_products=2 * in_blocks,
        between=between,
        largest_block=largest,
        passing=4 * points[0] * widths[0],
    )


def _real_transform(points: int) -> float:
    return 2.5 * points * log2(points)
