"""Figures of speed."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, by_hand, on, record

README = f"{STUDIES}/speed/README.md"

_BF16 = by_hand(
    README,
    "500 steps of 16, loss of every 25th step: 1.8 % below float32 in the mean, .1 % in the last "
    "quarter, 3.6 % apart in the root mean square; two seeds in float32 are 8.1 % apart",
    "| float32, seed 0 | .174 | .040 | .492 | .0131 | .224 | .091 |",
    "| bf16, seed 0 | .171 | .037 | .519 | .0137 | .225 | .085 |",
    "| float32, seed 1 | .174 | .036 | .520 | .0132 | .238 | .094 |",
    command="launchers/pretrain.py --preset nano --shards shards --output bf16 steps=500",
)


@on(README)
def yardstick() -> Iterator[Phrase]:
    found = {one["name"]: one["value"] for one in record("speed/ratios.json")["figures"]}
    theirs = found["tiny, batch 8, whole step: the authors' code fp32 / published fp32"]
    yield Phrase("# times the yardstick's seconds", [theirs])
