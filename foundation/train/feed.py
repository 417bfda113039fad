"""A rank's batches on its device, the next one on its way while the present one is computed."""

from collections.abc import Callable

import torch

from data_shards.stream.batch import Batch


class Feed:
    """What `fetch` gives, one after the other; ahead on a GPU alone, where the host has time."""

    def __init__(self, fetch: Callable[[], Batch], device: torch.device) -> None:
        """Nothing is fetched yet.

        Args:
            fetch: gives the next batch, in the host's memory.
            device: where it is wanted.
        """
        self._fetch, self._device = fetch, device
        self._side: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._ahead: Batch | None = None

    def next(self) -> Batch:
        """The next batch."""
        batch, self._ahead = self._ahead, None
        if batch is None or self._side is None:
            return self._fetch().to(self._device)
        present = torch.cuda.current_stream(self._device)
        present.wait_stream(self._side)
        batch.record_stream(present)
        return batch

    def look_ahead(self) -> None:
        """Fetch the next batch and send it off; called when the GPU has work meanwhile."""
        if self._side is not None and self._ahead is None:
            pinned = self._fetch().pin_memory()
            with torch.cuda.stream(self._side):
                self._ahead = pinned.to(self._device)
