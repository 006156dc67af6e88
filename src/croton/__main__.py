"""``python -m croton``: the command line."""

from croton.cli import main

if __name__ == "__main__":
    main()
