#!/bin/sh
# demo.sh: from a fresh machine to a map of the world, in one command:
#
#     sh tools/demo.sh                                world.png, here
#     sh tools/demo.sh [PICTURE.png [WIDTH]]          another name; WIDTH x WIDTH/2 map pixels, 720 x 360 without it
#     sh tools/demo.sh --no-install [...]             stops, with a list, where something is missing
#
# Installs what is missing (with apt, dnf, pacman, zypper or brew; sudo only if you are not root), builds quern in build/
# and runs its main job, examples/01_city_density.c. It can be run again at any time; what is done already is not done
# twice. Where it cannot go on, its last line says why. QUERN_DEVICE chooses the device.
set -eu
# shellcheck disable=SC2034 # used by setup.sh
script=demo.sh install=yes
here=$PWD
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

job=build/examples/01_city_density

while [ $# -gt 0 ]; do
    case $1 in
        --help) show_help && exit 0 ;;
        --no-install) install=no ;;
        -*) stop "unknown option '$1'; see sh tools/demo.sh --help" ;;
        *) break ;;
    esac
    shift
done
[ $# -le 2 ] || stop "a word too many: '$3'; see sh tools/demo.sh --help"
case ${1:-} in
    '') picture=world.png ;;
    /*) picture=$1 ;;
    *) picture=$here/$1 ;;
esac

# From nothing on 2 cores; what is there already takes less.
forecast() {
    find_manager || manager=none
    if [ -n "$(wanted demo)" ]; then
        say "this takes a few minutes and at most 900 MB, nearly all of it for packages"
    elif [ ! -x "$job" ]; then
        say "this takes about a minute, and 20 MB in build/"
    else
        say "this takes some seconds, unless something has changed"
    fi
}

forecast
setup_packages demo
setup_build build

say "the main job: the density of the world's population, its gradient, and the nearest city of each pixel of a map"
dry_run || [ -x "$job" ] || stop "$job was not built: see what Meson says of libpng in build/meson-logs/meson-log.txt"
run "$job" "$picture" "${2:-720}" ||
    stop "the main job failed (exit code $?); its message is above, and build/src/cli/quern doctor may help"
dry_run || [ -s "$picture" ] || stop "the main job wrote no $picture"
say "done: look at $picture"
