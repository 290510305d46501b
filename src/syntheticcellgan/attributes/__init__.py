"""Attributes of cells: learnt from labelled real cells into a bundle (`fitting.py`), and asked for (`wanted.py`)."""
