"""Attributes of cells, learnt from labelled real cells into a bundle; `wanted.py` says how they are asked for."""
