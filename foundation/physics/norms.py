"""Relative L2 norms: predicted and true fields in, one value per sample and channel out.

Axes: B samples, T frames, C channels, H rows, W columns. Shared by the
training loss and by the L2RE metric, so that both mean the same thing.
Source: MoE-POT (NeurIPS 2025), evaluation protocol.
"""

from torch import Tensor

_TINY = 1e-12  # keeps 0/0 at 0 for channels that are masked out or vanish


def relative_l2(
    pred_BTCHW: Tensor,
    true_BTCHW: Tensor,
    mask_B1CHW: Tensor | None = None,
    scale_BTCHW: Tensor | None = None,
) -> Tensor:
    """`||m (pred - true)||_2 / ||m scale||_2` over frames and space.

    Args:
        pred_BTCHW: prediction (B, T, C, H, W).
        true_BTCHW: truth, same shape and unit.
        mask_B1CHW: 1 where points count, broadcastable to the fields; all ones if None.
        scale_BTCHW: what the error is relative to; the truth if None.

    Returns:
        (B, C), dimensionless; 0 for a channel whose mask is empty.
    """
    error = pred_BTCHW - true_BTCHW
    scale = true_BTCHW if scale_BTCHW is None else scale_BTCHW
    if mask_B1CHW is not None:
        error, scale = error * mask_B1CHW, scale * mask_B1CHW
    over = (1, 3, 4)
    error_BC = error.float().square().sum(over)
    scale_BC = scale.float().square().sum(over)
    # The root's slope is infinite at 0: the tiny term keeps gradients of masked channels at 0.
    return (error_BC + _TINY**2).sqrt() / (scale_BC.sqrt() + _TINY) * (error_BC > 0)
