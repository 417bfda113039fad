"""How long a forecast can be used: the error of every frame in, a number of frames out.

Axes: B samples, T predicted frames.
Source: the valid prediction time of Pathak et al., Physical Review Letters 120 (2018),
there of a normalised error of 0.4; a task says which error it allows.
"""

import torch
from torch import Tensor


def valid_frames(per_frame_BT: Tensor, threshold: float) -> Tensor:
    """Frames before the first one whose L2RE exceeds a threshold.

    `min {t: L2RE_t > threshold} - 1`, frames counted from 1; all T where none exceeds it, which
    is a lower bound then. What comes after that frame does not matter, be it finite or not.

    Args:
        per_frame_BT: L2RE of each frame.
        threshold: the largest error of a valid frame, dimensionless.

    Returns:
        (B,), in frames, 0 to T.
    """
    within = (per_frame_BT <= threshold).to(per_frame_BT.dtype)
    return within.cumprod(1).sum(1)


def valid_time(per_frame_BT: Tensor, threshold: float, dt_s: tuple[float, ...]) -> Tensor:
    """Valid frames times the time between frames.

    Args:
        per_frame_BT: L2RE of each frame.
        threshold: the largest error of a valid frame, dimensionless.
        dt_s: time between frames of every sample.

    Returns:
        (B,), in the corpus's unit of time.
    """
    frames_B = valid_frames(per_frame_BT, threshold)
    return frames_B * torch.tensor(dt_s, dtype=frames_B.dtype, device=frames_B.device)
