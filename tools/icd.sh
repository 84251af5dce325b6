#!/bin/sh
# icd.sh: a directory of its own for each OpenCL driver of this machine, so that a test sees the one it is meant for.
#
#     sh tools/icd.sh BUILD
#
# Makes BUILD/icd/{pocl,rusticl,oclgrind,intel,none}/, each with the one .icd file of that driver, or empty where the driver is
# not installed; OCL_ICD_VENDORS=BUILD/icd/pocl then shows a process PoCL alone. Prints the drivers that are there.
# QUERN_ICD_VENDORS: where .icd files are, /etc/OpenCL/vendors if unset. QUERN_INTEL_OPENCL: where Intel's driver for CPUs
# is, if it is not registered (docs/drivers.md says how to come by it).
set -eu
build=${1:?usage: sh tools/icd.sh BUILD}
# shellcheck source=tools/setup.sh
. "$(dirname "$0")/setup.sh"

# driver NAME LIBRARY: writes the .icd file, if there is a library. One that is right stays: tests may be reading it.
driver() {
    file=$build/icd/$1/$1.icd
    mkdir -p "$build/icd/$1"
    if [ -z "$2" ]; then
        rm -f "$file"
        return 0
    fi
    [ "$(cat "$file" 2>/dev/null)" = "$2" ] || echo "$2" >"$file"
    echo "$1"
}

# first FILE...: the first that exists.
first() {
    for file in "$@"; do
        if [ -e "$file" ]; then
            echo "$file"
            break
        fi
    done
}

driver pocl "$(driver_library pocl)"
driver rusticl "$(driver_library rusticl)"
driver oclgrind "$(first /usr/lib*/oclgrind/liboclgrind-rt-icd.so /usr/local/lib/oclgrind/liboclgrind-rt-icd.so \
    /usr/lib/*/oclgrind/liboclgrind-rt-icd.so)"
intel=${QUERN_INTEL_OPENCL:+$(first "$QUERN_INTEL_OPENCL/libintelocl.so")}
driver intel "${intel:-$(driver_library intelocl)}"
driver none ''
