"""Corpora in, batches out: the order of samples, the layout of a model, workers."""
