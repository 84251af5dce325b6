#!/bin/sh
# demo.sh: from a fresh machine to a map of the world, in one command:
#
#     sh tools/demo.sh
#
# Installs what is missing (with apt, dnf, pacman, zypper or brew; sudo only if you are not root), builds quern in build/
# and runs its main job, examples/01_city_density.c, which writes world.png here. It can be run again at any time; what
# is done already is not done twice. Where it cannot go on, its last line says why. QUERN_DEVICE chooses the device.
set -eu
# shellcheck disable=SC2034 # used by setup.sh
script=demo.sh
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

job=build/examples/01_city_density

setup_packages demo
setup_build build

say "the main job: the density of the world's population, its gradient, and the nearest city of each pixel of a map"
dry_run || [ -x "$job" ] || stop "$job was not built: libpng was missing when build/ was configured; delete build/ and" \
    "run this again"
run "$job" || stop "the main job failed (exit code $?); its message is above, and build/src/cli/quern doctor may help"
dry_run || [ -s world.png ] || stop "the main job wrote no world.png"
say "done: look at world.png"
