"""A training run as a process: how it is started, what it does on every rank."""
