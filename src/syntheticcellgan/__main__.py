"""`python -m syntheticcellgan` is `scg`."""

from syntheticcellgan.cli import main

if __name__ == "__main__":
    main()
