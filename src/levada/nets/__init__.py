"""Networks that know tensors and nothing else, and the folders their weights live in."""
