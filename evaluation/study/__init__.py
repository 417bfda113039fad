"""Studies: models on mixtures, each from several seeds, by one trainer and one judge."""
