"""Batches from a data worker to its trainer, through /dev/shm; what fails there is one line.

Left to itself, a loader shares batches in a thread of the worker, where an error is printed and the
batch is lost: with /dev/shm full, the trainer waits for ever. So they are shared before.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from torch.utils.data import Dataset

from data_shards.errors import UserError
from data_shards.stream.batch import Batch

SHARED_MEMORY = "/dev/shm"
_REMEDY = "make it larger (of a container: --shm-size), or set data.workers=0"
_UNSHARED = re.compile(r"unable to .*(?:shared memory|torch_).*: (.*)")  # says torch


@dataclass(frozen=True)
class Sent(Dataset[Batch | Exception]):
    """What a worker sends: a batch in shared memory, or why there is none."""

    decode: Callable[[int], Batch]

    def __getitem__(self, number: int) -> Batch | Exception:
        try:
            return self.decode(number).share()
        except (UserError, OSError) as error:  # as they are, without the worker's traceback
            return error
        except RuntimeError as error:
            reason = _UNSHARED.search(str(error))
            if reason is None:
                raise
            fault = f"a data worker cannot share its samples ({reason[1]})"
            return UserError(f"{SHARED_MEMORY}: {fault}; {_REMEDY}")


def received(sent: Batch | Exception) -> Batch:
    """The batch.

    Raises:
        UserError, OSError: that of the worker, in place of a batch.
    """
    if isinstance(sent, Exception):
        raise sent
    return sent


def check_shared_memory(wanted_bytes: int) -> None:
    """Refuse to begin where what workers keep ready does not fit.

    Raises:
        UserError: it does not.
    """
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:  # a system without
        return
    if free < wanted_bytes:
        raise UserError(
            f"{SHARED_MEMORY}: too full: {free >> 20} MiB are free, the samples that data workers "
            f"keep ready there take {-(-wanted_bytes >> 20)} MiB; {_REMEDY}"
        )
