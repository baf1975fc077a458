"""`python -m smallage`."""

from smallage.cli import main

if __name__ == "__main__":
    main()
