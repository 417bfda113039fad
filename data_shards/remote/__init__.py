"""Shards and checkpoints elsewhere: the Hub, web folders, lists of URLs."""
