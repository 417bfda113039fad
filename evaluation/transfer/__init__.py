"""Transfer: what a checkpoint is worth where there is little data."""
