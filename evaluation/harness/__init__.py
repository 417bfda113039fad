"""The judge: forecasters, tasks and shards in, records out."""
