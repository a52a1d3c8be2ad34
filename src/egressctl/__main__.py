"""`python -m egressctl` is the same as `egressctl`."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until `main` hears signals, Ctrl-C ends the process as SIGTERM does: no traceback of an import that was interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from egressctl.cli.main import complete_for_kubectl, main

__all__ = ["complete_for_kubectl", "main"]

if __name__ == "__main__":
    main()
