"""All boxes of some samples, solved on one rank.

Axes: B samples, K boxes, N weights.
"""

from torch import Tensor, nn

from foundation.constraint.implicit import solved
from foundation.constraint.levenberg_marquardt import Ending, Residual, SolverConfig


class BoxBank(nn.Module):
    """The local solvers; they have no weights of their own, boxes differ in their points."""

    def __init__(self, num_boxes: int) -> None:
        super().__init__()
        self.num_boxes = num_boxes

    def forward(
        self,
        residual: Residual,
        start_BKN: Tensor,
        own: tuple[Tensor, ...],
        config: SolverConfig,
    ) -> Ending:
        """Solve every box of every sample.

        Args:
            residual: of one box.
            start_BKN: first weights.
            own: tensors of the boxes, (B, K, ...) each, float64.
            config: when to end.

        Returns:
            Weights (B, K, N), the rest (B, K).
        """
        shape = start_BKN.shape[:2]
        ending = solved(
            residual, start_BKN.flatten(0, 1), tuple(t.flatten(0, 1) for t in own), config
        )
        return Ending(*(part.unflatten(0, shape) for part in vars(ending).values()))
