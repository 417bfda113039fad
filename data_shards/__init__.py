"""From a corpus of simulations to the batches of a training run.

A tour, in the order in which data flow:

- A `card` says what a corpus is: channels, units, domain, parameter ranges, protocol, files;
  `catalogue` finds cards, groups and `ladders`; `handbook` puts them into words.
- `trajectory` is one simulation; `generate` computes it, `read` takes it from published files.
- `writer` packs trajectories into WebDataset tars with reproducible bytes;
  `manifest` lists them with checksums and channel `statistics`, `dataset_card` describes them
  to share; `pictures` draws what is inside.
- `verify` proves a folder right, or names the shard and the fault.
- `tar` and `index` find every array inside a shard; `corpus` reads windows of
  frames from there, straight from the mapped file.
- `layout` brings a corpus's grid and channels to those of a model; `batch` is the result.
- `mixture` plans which window every global sample number shows, as a pure function;
  `stream` decodes that plan for one rank.

    from data_shards.shards.corpus import ShardedCorpus
    from data_shards.stream.layout import square
    from data_shards.stream.stream import SampleStream, StreamConfig

    names = ("pdebench_swe", "fno_ns_1e-5")
    corpora = [ShardedCorpus.open("shards", name, "train") for name in names]
    stream = SampleStream(corpora, StreamConfig(), square(128))
    for batch in stream.batches(first_sample=0, global_batch=20):
        ...

Everything a user can fix raises `errors.UserError`; configurations are
`config.Config`, frozen and strict.
"""
