"""Results on disk: records, samples, predictions, their averages and errors."""
