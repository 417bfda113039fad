"""What every rank of a test would load by itself; the server that ranks are forked from has it.

DeepSpeed imports torch's compiler with the first engine (for an optimiser that is not ours), numba
its back end with the first kernel: more than half of the processor time of a short training.
"""

import importlib
import os

import numpy as np

from data_shards.resize import resize_into

os.environ.setdefault("TORCH_WARM_POOL", "0")  # the compiler's helpers are threads: none at a fork
for name in (
    "deepspeed.runtime.zero.muon.muon_optimizer",
    "launchers.finetune",
    "launchers.pretrain",
    "torch._dynamo",
    "torch.utils.tensorboard",
):
    importlib.import_module(name)
resize_into(np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 1, 3, 3), np.float32))
