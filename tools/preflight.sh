#!/bin/sh
# Say what this machine lacks, and how to get it, before anything is installed.
# Usage: preflight.sh PYTHON
set -u
missing=0

lacks() {
    echo "missing: $1" >&2
    echo "  get it with: $2" >&2
    missing=1
}

python="${1:-}"
if [ -z "$python" ] || ! command -v "$python" >/dev/null 2>&1; then
    lacks "Python 3.11 or later with venv" "apt install python3 python3-venv, or dnf install python3.11"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    lacks "Python 3.11 or later ($python is older)" "apt install python3.11 python3.11-venv, then: make PYTHON=python3.11"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks "Python's venv module" "apt install python3-venv"
fi
command -v curl >/dev/null 2>&1 || lacks "curl" "apt install curl"
command -v unshare >/dev/null 2>&1 && command -v nsenter >/dev/null 2>&1 || lacks "unshare and nsenter" "apt install util-linux"
exit $missing
