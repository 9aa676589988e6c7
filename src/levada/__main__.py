"""The command ``levada`` as ``python -m levada``."""

from levada.cli import main

if __name__ == "__main__":
    main()
