"""Relative L2 norms: predicted and true fields in, one value per sample and channel out.

Axes: B samples, T frames, C channels, S the grid of one to three axes. Shared by
the training loss and by the L2RE metric, so that both mean the same thing.
A channel whose truth has no norm has no relative error, whatever is predicted: it is 0 here and
left out of every mean.
Source: MoE-POT (NeurIPS 2025), evaluation protocol.
"""

from torch import Tensor

_TINY = 1e-12  # keeps 0/0 at 0 for channels that are masked out or vanish


def space(fields: Tensor) -> tuple[int, ...]:
    """Positions of the grid's axes in fields (B, T, C, *S)."""
    return tuple(range(3, fields.dim()))


def relative_l2(
    pred_BTCS: Tensor,
    true_BTCS: Tensor,
    mask_B1CS: Tensor | None = None,
    scale_BTCS: Tensor | None = None,
) -> Tensor:
    """`||m (pred - true)||_2 / ||m scale||_2` over frames and space.

    Args:
        pred_BTCS: prediction (B, T, C, *S).
        true_BTCS: truth, same shape and unit.
        mask_B1CS: 1 where points count, broadcastable to the fields; all ones if None.
        scale_BTCS: what the error is relative to; the truth if None.

    Returns:
        (B, C), dimensionless; 0 for a channel whose mask is empty or whose scale has no norm.
    """
    return relative_l2_and_norm(pred_BTCS, true_BTCS, mask_B1CS, scale_BTCS)[0]


def relative_l2_and_norm(
    pred_BTCS: Tensor,
    true_BTCS: Tensor,
    mask_B1CS: Tensor | None = None,
    scale_BTCS: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`relative_l2`, and whether there is a norm to be relative to: both (B, C)."""
    error = pred_BTCS - true_BTCS
    scale = true_BTCS if scale_BTCS is None else scale_BTCS
    if mask_B1CS is not None:
        error, scale = error * mask_B1CS, scale * mask_B1CS
    over = (1, *space(error))
    error_BC = error.float().square().sum(over)
    scale_BC = scale.float().square().sum(over)
    # The root's slope is infinite at 0: the tiny term keeps gradients of masked channels at 0.
    ratio_BC = (error_BC + _TINY**2).sqrt() / (scale_BC.sqrt() + _TINY) * (error_BC > 0)
    has_norm_BC = scale_BC > 0
    return ratio_BC * has_norm_BC, has_norm_BC  # what is not finite stays so
