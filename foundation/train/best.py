"""The best weights: validation errors in; those weights and the word "enough" out.

The best weights so far lie in a checkpoint folder that also says at which step
they were seen. Whether a run has had enough is a function of that step and the
current one, so that a resumed run stops where an uninterrupted one would.
"""

import math
from pathlib import Path
from typing import Any

import torch.distributed as dist

from foundation.checkpoint.folder import read_config, save_folder
from foundation.models.registry import ModelConfig
from foundation.parallel.gather import gather_weights


class BestWeights:
    """The weights with the smallest validation error; every rank holds one of these."""

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        patience_steps: int | None,
        resume: bool,
        patient_until: int = 0,
    ) -> None:
        """Go on from the best weights in a folder, if there are any; collective.

        Args:
            folder: of the best checkpoint.
            config: of the network.
            patience_steps: optimiser steps without a smaller error after which it is enough; None
                for those that are trained to the end whatever comes.
            resume: whether what lies in the folder belongs to this run.
            patient_until: step before which patience does not begin to end: while the rate is
                high, errors say little of what they will fall to.
        """
        self.folder = folder
        self._config = config
        self._patience_steps, self._patient_until = patience_steps, patient_until
        found: list[Any] = [(math.inf, 0)]
        if resume and dist.get_rank() == 0 and (folder / "config.json").exists():
            about = read_config(folder)[1]
            found = [(float(about["error"]), int(about["step"]))]
        dist.broadcast_object_list(found)
        self.error, self.step = found[0]

    def see(self, engine: Any, step: int, errors: dict[str, float]) -> None:
        """Keep the weights if the mean error over corpora is smaller than before; collective."""
        error = sum(errors.values()) / len(errors)
        if not error < self.error:  # a NaN is no better
            return
        weights = gather_weights(engine)
        if weights is not None:
            save_folder(self.folder, self._config, weights, {"step": step, "error": error})
        self.error, self.step = error, step

    @property
    def found(self) -> bool:
        """Whether some validation gave a number, so that there are best weights."""
        return math.isfinite(self.error)

    def enough(self, step: int) -> bool:
        """Whether patience is at its end."""
        if self._patience_steps is None:
            return False
        return self.found and step - max(self.step, self._patient_until) >= self._patience_steps
