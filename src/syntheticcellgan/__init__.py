"""SyntheticCellGAN: artificial high-resolution images of white blood cells, and the evidence of how far to trust them."""

__version__ = "0.1.0"
