"""CFDBench's card for the small trees of `cfdbench_files`, and what is read of them."""

from cfdbench_files import GRID

from data_shards.catalogue import load_card
from data_shards.read import open_raw

FRAMES = 4
# Frames per case: whole segments, a rest, and fewer than a segment.
COUNTS = {
    problem: {"prop": [4, 9, 8, 5], "bc": [8, 4, 3, 7], "geo": [12, 4, 6, 9]}
    for problem in ("cavity", "tube", "cylinder", "dam")
}
SHAPE = (FRAMES, 2, GRID["y"], GRID["x"])
SPLITS = ("train", "validation", "test")
ALL = {"problems": ["cavity", "tube", "cylinder", "dam"], "subsets": ["prop", "bc", "geo"]}


def small_cfdbench(**options):
    card = load_card("cfdbench")
    published = card.published.model_copy(update={"options": {"subsets": ["prop"], **options}})
    sizes = {"frames": FRAMES, "context_frames": 2, "rollout_frames": 2}
    return card.model_copy(
        update={"published": published, "native_grid": (GRID["y"], GRID["x"]), **sizes}
    )


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        assert all(source.exists() for source in corpus.sources)
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()
