#!/bin/sh
# setup.sh DIR: makes a Python environment in DIR that has the peers of quern-bench: pykeops, faiss-cpu, scikit-learn, umap-learn, openTSNE,
# and numpy with its OpenBLAS. Downloads from PyPI; KeOps needs g++ when it runs. Then: BENCH_PYTHON=DIR/bin/python quern-bench ...
set -eu

if [ $# -ne 1 ]; then
    echo "usage: setup.sh DIR, where DIR is a new directory outside the source tree" >&2
    exit 2
fi
python3 -m venv "$1"
"$1/bin/pip" install --quiet numpy pykeops faiss-cpu scikit-learn umap-learn openTSNE
"$1/bin/pip" list
echo "now: BENCH_PYTHON=$1/bin/python quern-bench g3 --against keops"
