"""Models that are none of ours: what a factory returns in, something that can be judged out.

from evaluation.foreign import ForeignModel, square
"""

from data_shards.stream.layout import ModelLayout, square
from evaluation.foreign.model import ForeignModel
from evaluation.foreign.stacked import Units, stacked_frames

__all__ = ["ForeignModel", "ModelLayout", "Units", "square", "stacked_frames"]
