"""What the single file starts with: Python runs this as its `__main__`, and nothing here may need Python 3.11.

A zip file is slow to import from, so it is unpacked once into the user's cache, under a name made of its content. Where that
cannot be done, as on a read-only disk, it is run as it is.
"""

import os
import shutil
import sys
import tempfile
import zipfile

DIGEST = ""


def unpack(archive: str, home: str, digest: str) -> str:
    """Return the folder of `home` with what is in the archive, or "" where there is none and none can be made."""
    folder = os.path.join(home, "egressctl", digest)
    try:
        if not os.path.isdir(folder):
            os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
            new = tempfile.mkdtemp(dir=os.path.dirname(folder))
            try:
                with zipfile.ZipFile(archive) as file:
                    file.extractall(new)
                os.rename(new, folder)
            except OSError:
                shutil.rmtree(new, ignore_errors=True)
                if not os.path.isdir(folder):  # nor has another process been faster
                    return ""
        # What others could write to is not run.
        state = os.stat(folder)
        return folder if state.st_uid == os.geteuid() and not state.st_mode & 0o022 else ""
    except OSError:
        return ""


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("error: egressctl needs Python 3.11 or later, and %s is %d.%d" % (sys.executable, *sys.version_info[:2]))
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    unpacked = unpack(sys.path[0], cache, DIGEST) if os.path.isabs(cache) and os.path.isfile(sys.path[0]) else ""
    if unpacked:
        sys.path[0] = unpacked
    from egressctl.cli.main import complete_for_kubectl, main

    if os.path.basename(sys.argv[0]).startswith("kubectl_complete-"):
        complete_for_kubectl()
    main()
