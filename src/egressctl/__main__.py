"""`python -m egressctl` is the same as `egressctl`."""

from egressctl.cli.main import main

main()
