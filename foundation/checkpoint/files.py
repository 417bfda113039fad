"""Files of weights in a checkpoint folder: their names, and how large one becomes."""

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
MAX_SHARD_SIZE = "5GB"  # as the Hub's libraries
