"""What routers tell: which corpus a sample comes from, and whether it comes from none.

A router gives every sample a distribution over the experts of its block. Its mean over
windows of a corpus is the corpus's fingerprint (`fingerprints`); a new sample is said to
belong to the corpus whose fingerprint is nearest (`inference`), and to none of them if all
are far (`detection`). `usage` tells how the experts are shared among the corpora.
Everything but `collect` and `runner` is a pure function of routing probabilities.
Source: MoE-POT (NeurIPS 2025), App. B.4, for fingerprints and dataset inference.
"""
