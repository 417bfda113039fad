"""Published weights that can be imported: whose they are, how large, and where to ask for them.

Nothing is downloaded: the authors link their files from the pages below, and may move them.
"""

from dataclasses import dataclass

# What a file of weights does not tell, and neither do its arguments.
PUBLISHED_MODES = 32
PUBLISHED_TOP_K = 4

_MOE_POT = ("arXiv 2510.25803", "https://github.com/haiyangxin/MoEPOT")
_DPOT = ("arXiv 2403.03542", "https://github.com/HaoZhongkai/DPOT")


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of a paper.

    Attributes:
        name: model and size, as the authors call them.
        preset: the same network here.
        paper: of the authors.
        page: that links the files.
    """

    name: str
    preset: str
    paper: str
    page: str


PUBLISHED_WEIGHTS = (
    PublishedWeights("MoE-POT tiny", "tiny", *_MOE_POT),
    PublishedWeights("MoE-POT small", "small", *_MOE_POT),
    PublishedWeights("MoE-POT medium", "medium", *_MOE_POT),
    PublishedWeights("DPOT Ti", "dpot_tiny", *_DPOT),
    PublishedWeights("DPOT S", "dpot_small", *_DPOT),
    PublishedWeights("DPOT M", "dpot_medium", *_DPOT),
    PublishedWeights("DPOT L", "dpot_large", *_DPOT),
    PublishedWeights("DPOT H", "dpot_huge", *_DPOT),
)
