"""What one sample costs in one forward pass: counts, and what several networks count alike.

Closed forms, beside each network; nothing is built. Products (matrices and convolutions) are
exact for the code as it is, the transformers' transforms among them; a fast Fourier transform
of N real points is taken as 2.5 N log2 N, of complex ones as twice that; element-wise work is
left out. What is shared by a batch, such as the coordinates' part of an embedding, is no
sample's work and is left out too. One multiply-add is 2 FLOPs. Whatever is chosen of a mixture
is computed.
"""

from dataclasses import dataclass

from foundation.models.config import FieldConfig


@dataclass(frozen=True)
class Work:
    """Of one sample.

    Attributes:
        products: FLOPs of matrix products and convolutions.
        block_products: of the products, those in blocks, which may be recomputed.
        kept: numbers kept for the backward pass.
        between: numbers kept outside blocks and at their entries.
        largest_block: numbers kept inside one block.
        depth: blocks that are launched one after the other.
        transforms: FLOPs of fast Fourier transforms, an estimate.
        shared: numbers kept besides, however many samples a batch has.
        fixed_products: of the products, those with a factor that needs no gradient: the frames,
            or the matrix of a transform.
        frozen_products: of the products, those of which nothing is learnt and that no gradient
            passes.
        taught_products: FLOPs of products that a training step has more than a forecast, forward
            alone: what is learnt is made of a later frame, what is not wanted is left out.
        passing: numbers that the way back through the widest maps needs for a moment.
        solved: FLOPs of a constraint's least squares in float64, in as many steps as they may take.
        solved_back: FLOPs of its backward pass.
        boxed: float64 numbers by which boxes that are solved elsewhere are sent, and their answers.
    """

    products: int
    block_products: int
    kept: int
    between: int
    largest_block: int
    depth: int
    transforms: int = 0
    shared: int = 0
    fixed_products: int = 0
    frozen_products: int = 0
    taught_products: int = 0
    passing: int = 0
    solved: int = 0
    solved_back: int = 0
    boxed: int = 0


def flops_of(work: Work) -> int:
    """Of a forward pass, all kinds together."""
    return work.products + work.transforms + work.solved


def stacked(config: FieldConfig, places: bool = True) -> int:
    """Channels of the stacked context, with a coordinate per axis if it has its places."""
    return config.context_frames * config.channels + len(config.mapped_grid) * places


def modulation(config: FieldConfig, width: int) -> int:
    """Multiply-adds of the statistics' maps."""
    return 4 * config.channels * width if config.instance_norm else 0
