"""``python -m stackopt``: the command line."""

from stackopt.cli import main

main()
