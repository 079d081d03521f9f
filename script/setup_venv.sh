#!/usr/bin/env bash
# Makes .venv and installs the pinned requirements; when that was done before, it does nothing.
# usage: script/setup_venv.sh run|dev
set -euo pipefail
unset CDPATH
[[ ${PYTHON:-} != */* ]] || PYTHON=$(realpath -s -- "$PYTHON")
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

kind=${1:?usage: script/setup_venv.sh run|dev}
case $kind in
    run) requirements=requirements.txt covers=(run) ;;
    dev) requirements=requirements-dev.txt covers=(run dev) ;;
    *) echo "usage: script/setup_venv.sh run|dev" >&2; exit 2 ;;
esac

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "WSB Snake needs Python 3.11 or newer; install it, or name it: PYTHON=/path/to/python3 $0" >&2
    exit 1
}

if ! new_enough .venv/bin/python || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python lacks its venv module; install it (Debian and Ubuntu: apt install python3-venv)" >&2
        exit 1
    fi
    "$python" -m venv --clear .venv
fi

wanted=$(.venv/bin/python - <<'END'
import hashlib, pathlib
files = ("pyproject.toml", "requirements.txt", "requirements-dev.txt")
print(hashlib.sha256(b"\0".join(pathlib.Path(name).read_bytes() for name in files)).hexdigest())
END
)
if [[ -f .venv/installed-$kind && $(<".venv/installed-$kind") == "$wanted" ]]; then
    exit 0
fi

echo "Installing $requirements into .venv (once)" >&2
rm -f .venv/installed-run .venv/installed-dev
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
for each in "${covers[@]}"; do
    echo "$wanted" >".venv/installed-$each"
done
