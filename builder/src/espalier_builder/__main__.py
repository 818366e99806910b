"""`python -m espalier_builder` is the command line."""

from espalier_builder.cli import main

main()
