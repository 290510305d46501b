"""Images by the million: WebDataset shards, each determined by its number, whole or absent, made by any number of processes."""
