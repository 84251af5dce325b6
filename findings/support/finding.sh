#!/bin/sh
# finding.sh PACKAGE==VERSION... <PROGRAM: runs a Python program with pinned packages in a temporary folder, which is its home too.
#
# The program finds finding.py beside this. Ends with the program's exit status, or with 77 where a package cannot be had.
set -eu
support=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || { echo "cannot be had: $*"; exit 77; }
mkdir "$folder/home"
cat >"$folder/program.py"
FINDING=$folder HOME=$folder/home OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$support "$folder/bin/python" "$folder/program.py"
