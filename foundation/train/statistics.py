"""What is counted while training: batches in, one row of numbers per logged step out.

Axes: L blocks, K corpora, E routed experts.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from foundation.moe.purity import purity
from foundation.moe.router import Routing, of_blocks
from foundation.train.losses import Losses

Sum = Callable[[Tensor], Tensor]  # over ranks

_HEAD = 5  # sums that are not per corpus


class StepTotals:
    """Sums over ranks and over the forwards of one optimiser step.

    Each forward is reduced in one call, so that a non-finite loss or a request to stop is known to
    all ranks at once. The sums stay on the device until one of them is asked for.
    """

    def __init__(self, num_corpora: int) -> None:
        # loss, balance, forwards, non-finite forwards, stop requests; then K losses, K counts,
        # then the network's terms
        self._corpora = num_corpora
        self._terms: tuple[str, ...] = ()
        self._on_device: Tensor | None = None
        self._arrived: torch.cuda.Event | None = None
        self._read: list[float] | None = None

    def add(self, losses: Losses, batch: Batch, stop: bool, sum_over_ranks: Sum) -> None:
        """Count one forward of this rank and those of all others; collective."""
        self._terms = tuple(sorted(losses.terms))
        total, per_sample = losses.total.detach(), losses.per_sample
        one = torch.ones_like(total)
        bad = ~torch.isfinite(torch.cat([per_sample, total[None]])).all()
        head = torch.stack([total, losses.balance, one, bad.to(total), one * stop])
        pairs_2B = torch.stack([per_sample, torch.ones_like(per_sample)]).double()
        by_corpus_2K = pairs_2B.new_zeros(2, self._corpora).index_add_(1, batch.corpus_id, pairs_2B)
        terms = [losses.terms[name].double().mean(0, keepdim=True) for name in self._terms]
        own = torch.cat([head.double(), by_corpus_2K.flatten(), *terms])
        reduced = sum_over_ranks(own)
        self._on_device = reduced if self._on_device is None else self._on_device + reduced
        self._read = None

    def begin_reading(self) -> None:
        """Send the sums to the host behind what was launched, for nobody to wait for more later."""
        if self._on_device is not None and self._on_device.is_cuda:
            pinned = torch.empty_like(self._on_device, device="cpu", pin_memory=True)
            self._on_device = pinned.copy_(self._on_device, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    @property
    def _sums(self) -> list[float]:
        if self._read is None:
            assert self._on_device is not None, "there was a forward"
            if self._arrived is not None:
                self._arrived.synchronize()
            self._read = self._on_device.tolist()
        return self._read

    @property
    def loss(self) -> float:
        return self._sums[0] / self._sums[2]

    @property
    def balance(self) -> float:
        return self._sums[1] / self._sums[2]

    @property
    def finite(self) -> bool:
        return self._sums[3] == 0

    @property
    def stop(self) -> bool:
        """Whether any rank was asked to stop."""
        return self._sums[4] > 0

    def corpus_means(self, names: Sequence[str]) -> dict[str, float]:
        """Mean loss per sample of the corpora that the step saw."""
        middle, end = _HEAD + self._corpora, _HEAD + 2 * self._corpora
        losses, counts = self._sums[_HEAD:middle], self._sums[middle:end]
        return {n: s / c for n, s, c in zip(names, losses, counts, strict=True) if c}

    def term_means(self) -> dict[str, float]:
        """Means of the network's own terms, unweighted; empty if it gives none."""
        sums = self._sums[_HEAD + 2 * self._corpora :]
        return {name: s / self._sums[2] for name, s in zip(self._terms, sums, strict=True)}


class ExpertUsage:
    """How often each block sent each corpus to each expert, and how sharply, between logs."""

    def __init__(self, num_corpora: int, device: torch.device) -> None:
        self._corpora = num_corpora
        self._device = device
        self._usage_LKE: Tensor | None = None
        self._entropy = torch.zeros((), dtype=torch.float64, device=device)  # sum over `_counted`
        self._counted = 0

    @torch.no_grad()
    def add(self, routing: Sequence[Routing], corpus_id: Tensor) -> None:
        """Count one forward."""
        if not routing:
            return
        blocks = of_blocks(routing)
        shares_LBE = blocks.shares_BE.double()
        if self._usage_LKE is None:
            self._usage_LKE = shares_LBE.new_zeros(
                len(routing), self._corpora, shares_LBE.shape[-1]
            )
        self._usage_LKE.index_add_(1, corpus_id, shares_LBE)
        p = blocks.probabilities_BE
        self._entropy -= (p * p.clamp(min=1e-12).log()).sum(dtype=torch.float64)
        self._counted += p[..., 0].numel()

    def reduce(self, sum_over_ranks: Sum) -> tuple[Tensor | None, float]:
        """Shares (L, K, E), each row of a seen corpus summing to one, and mean entropy in nats.

        Starts counting anew.
        """
        usage, entropy = self._usage_LKE, self._entropy
        entropy = torch.stack([entropy, torch.full_like(entropy, self._counted)])
        self._usage_LKE, self._entropy = None, torch.zeros_like(self._entropy)
        self._counted = 0
        if usage is None:
            return None, 0.0
        usage, entropy = sum_over_ranks(usage), sum_over_ranks(entropy)
        # Each sample counts one: a corpus that was not seen counts nothing.
        shares = usage / usage.sum(-1, keepdim=True).clamp(min=1)
        return shares.cpu(), float(entropy[0] / entropy[1])


def purity_of(usage_LKE: Tensor) -> list[float]:
    """How far corpora part in every block (L,); empty where fewer than two were seen.

    Args:
        usage_LKE: shares, of a corpus that was not seen zeros.
    """
    usage_KLE = usage_LKE.movedim(1, 0)
    seen = usage_KLE[usage_KLE.sum((1, 2)) > 0]
    shares: list[float] = purity(seen).tolist() if len(seen) > 1 else []
    return shares
