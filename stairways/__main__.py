"""``python -m stairways`` is the command ``stairways``."""

from stairways.cli import main

main(prog_name="stairways")
