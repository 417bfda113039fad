"""A network of others on our stream: python learn.py NAME SHARDS SECONDS -> NAME.pt, NAME.json.

The mixture, the window and the loss are those of nano: five frames per call, errors relative to
the change. Processor time is what is given, of one thread, with a one-cycle rate over it.
"""

import json
import sys
import time

import torch
from theirs import CONTEXT, FRAMES, adapted, network

from data_shards.memory import keep_freed_memory
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig
from foundation.train.config import load_run_config

BATCH, RATE, WARM_UP = 8, 4e-3, 0.1


def learn(name: str, shards: str, seconds: float) -> dict[str, float]:
    """Train for so many seconds of the processor; what came of it."""
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    made = network(name).train()
    model = adapted(made)
    run = load_run_config("nano", [])
    corpora = [ShardedCorpus.open(shards, corpus, "train") for corpus in run.data.corpora]
    config = StreamConfig(
        mixture=MixtureConfig(weights=run.data.weights, seed=0),
        context_frames=CONTEXT,
        target_frames=FRAMES,
    )
    assert model.layout is not None
    batches = SampleStream(corpora, config, model.layout).batches(0, BATCH)
    optimiser = torch.optim.Adam(made.parameters(), lr=RATE)
    began, steps, loss = time.process_time(), 0, torch.zeros(())
    while (done := (time.process_time() - began) / seconds) < 1:
        rise, fall = done / WARM_UP, (1 - done) / (1 - WARM_UP)
        optimiser.param_groups[0]["lr"] = RATE * min(rise + 1e-3, fall)
        batch = next(batches)
        counts = batch.asked_mask[:, None, :, None, None] * batch.valid_mask[:, None]
        error = (model.forecast(batch.given) - batch.asked) * counts
        change = (batch.asked - batch.given[:, -1:]) * counts
        error_BC, change_BC = (part.square().sum((1, 3, 4)) for part in (error, change))
        ratio = (error_BC / change_BC.clamp_min(1e-12))[batch.asked_mask > 0]
        loss = ratio.clamp(1e-12, 1e4).sqrt().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimiser.step()
        steps += 1
    # Their state keeps more than tensors, which `weights_only` would refuse.
    weights = {key: each for key, each in made.state_dict().items() if torch.is_tensor(each)}
    torch.save(weights, f"{name}.pt")
    parameters = sum(p.numel() * (1 + p.is_complex()) for p in made.parameters())
    return {"steps": steps, "samples": steps * BATCH, "loss": loss.item(), "parameters": parameters}


if __name__ == "__main__":
    name, shards, seconds = sys.argv[1:]
    told = {"seconds": float(seconds), **learn(name, shards, float(seconds))}
    print(name, told, flush=True)
    with open(f"{name}.json", "w") as file:
        json.dump(told, file)
