"""The mixtures of experts of a network, as they lie on ranks: what plans count by."""

from dataclasses import dataclass

from foundation.moe.router import RouterConfig


@dataclass(frozen=True)
class Mixture:
    """Mixtures of experts, one in every block, as they lie on ranks.

    Attributes:
        router: which of them are chosen.
        blocks: how many mixtures there are.
        tokens: of a sample.
        width, features: numbers of a token that an expert gives, and that it takes.
        num_shared: experts that every token passes, wherever it is.
    """

    router: RouterConfig
    blocks: int
    tokens: int
    width: int
    features: int
    num_shared: int

    @property
    def rows(self) -> int:
        """Choices that are made for a sample in every block."""
        by_token = self.router.unit == "token" and self.router.by == "gate"
        return self.tokens if by_token else 1
