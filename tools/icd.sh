#!/bin/sh
# icd.sh: a directory of its own for each OpenCL driver of this machine, so that a test sees the one it is meant for.
#
#     sh tools/icd.sh BUILD
#
# Makes BUILD/icd/{pocl,rusticl,oclgrind,none}/, each with the one .icd file of that driver, or empty where the driver is
# not installed; OCL_ICD_VENDORS=BUILD/icd/pocl then shows a process PoCL alone. Prints the drivers that are there.
# QUERN_ICD_VENDORS: where .icd files are, /etc/OpenCL/vendors if unset.
set -eu
build=${1:?usage: sh tools/icd.sh BUILD}
vendors=${QUERN_ICD_VENDORS:-/etc/OpenCL/vendors}

# driver NAME LIBRARY: writes the .icd file, if there is a library.
driver() {
    rm -rf "$build/icd/$1"
    mkdir -p "$build/icd/$1"
    if [ -n "$2" ]; then
        echo "$2" >"$build/icd/$1/$1.icd"
        echo "$1"
    fi
}

# registered PATTERN: the library in the first .icd file that matches.
registered() {
    grep -ish -e "$1" "$vendors"/*.icd | head -n 1
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

driver pocl "$(registered pocl)"
driver rusticl "$(registered rusticl)"
driver oclgrind "$(first /usr/lib*/oclgrind/liboclgrind-rt-icd.so /usr/local/lib/oclgrind/liboclgrind-rt-icd.so \
    /usr/lib/*/oclgrind/liboclgrind-rt-icd.so)"
driver none ''
