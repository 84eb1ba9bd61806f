"""Run the command line as `python -m enhancer_core`."""

from enhancer_core.cli import main

main()
