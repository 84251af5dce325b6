# setup.sh: what tools/demo.sh and tools/test.sh share: finding out what is missing, installing it, building.
#
# To be sourced by a POSIX shell in the project's root, with `script` set to the name that messages start with.
#
#     show_help                  prints the first comment of the script
#     setup_packages demo|test   has every program and library that is needed installed; `test` wants more
#     setup_build DIR OPTION...  configures DIR with Meson, unless it is as it should be, and compiles
#     hold DESCRIPTOR FILE WHAT  waits until no other run of these scripts holds FILE of the project, then holds it
#     stop SENTENCE...           says why it cannot go on, exits with status 1
#
# What is needed is a table (needs), one row per thing, with a test for its presence (have) and the packages that hold
# it. A thing that is there, wherever it came from, is left alone: with nothing missing the network is not touched.
#
# With install=no nothing is installed: what is missing ends the script, or, if it is optional, is told.
# QUERN_SETUP_DRY_RUN=1 prints the commands instead of running them; tests/project/setup_test.sh uses it.
# shellcheck shell=sh disable=SC2086 # lists of words are left to the shell to split

: "${script:=setup.sh}" "${install:=yes}"

say() {
    echo "$script: $*"
}

stop() {
    echo "$script: $*" >&2
    exit 1
}

# The first comment of the script, less its name.
show_help() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "tools/$script"
}

dry_run() {
    [ -n "${QUERN_SETUP_DRY_RUN:-}" ]
}

# run COMMAND...: shows a command, and runs it unless this is a dry run.
run() {
    echo "+ $*"
    dry_run || "$@"
}

# ---- what is needed ----------------------------------------------------------------------------------------------

# when: `demo` is needed by both scripts, `test` by test.sh alone, `maybe` by some of its tests, which are skipped
# without. Packages are separated by commas; - stands for none.
needs() {
    cat <<'END'
# when   thing       apt                                dnf                               pacman                  zypper                            brew
  demo   cc          gcc,libc6-dev                      gcc                               gcc                     gcc                               -
  demo   meson       meson                              meson                             meson                   meson                             meson
  demo   ninja       ninja-build                        ninja-build                       ninja                   ninja                             ninja
  demo   python3     python3                            python3                           python                  python3                           python3
  demo   pkg-config  pkg-config                         pkgconf-pkg-config                pkgconf                 pkg-config                        pkgconf
  demo   OpenCL      ocl-icd-opencl-dev,opencl-headers  pkgconfig(OpenCL),opencl-headers  ocl-icd,opencl-headers  pkgconfig(OpenCL),opencl-headers  opencl-icd-loader,opencl-headers
  demo   PoCL        pocl-opencl-icd                    pocl                              pocl                    pocl                              pocl
  demo   libxxhash   libxxhash-dev                      pkgconfig(libxxhash)              xxhash                  pkgconfig(libxxhash)              xxhash
  demo   jansson     libjansson-dev                     pkgconfig(jansson)                jansson                 pkgconfig(jansson)                jansson
  demo   libpng      libpng-dev                         pkgconfig(libpng)                 libpng                  pkgconfig(libpng)                 libpng
  test   cmocka      libcmocka-dev                      pkgconfig(cmocka)                 cmocka                  pkgconfig(cmocka)                 cmocka
  maybe  rusticl     mesa-opencl-icd                    mesa-libOpenCL                    opencl-mesa             Mesa-libRusticlOpenCL             -
  maybe  oclgrind    oclgrind                           oclgrind                          -                       oclgrind                          -
  maybe  clang       clang-15                           clang                             clang                   clang                             llvm
  maybe  clang-format-14  clang-format-14               -                                 -                       -                                 -
  maybe  libclc      libclc-15                          libclc                            libclc                  libclc                            libclc
  maybe  ocloc       intel-opencl-icd                   intel-opencl                      intel-compute-runtime   intel-opencl                      -
  maybe  clblast     libclblast-dev                     clblast-devel                     clblast                 clblast-devel                     clblast
  maybe  mpicc       libopenmpi-dev,openmpi-bin         openmpi-devel                     openmpi                 openmpi4-devel                    open-mpi
  maybe  mpfr        libmpfr-dev                        pkgconfig(mpfr)                   mpfr                    pkgconfig(mpfr)                   mpfr
  maybe  lapack      liblapack-dev                      pkgconfig(lapack)                 lapack                  pkgconfig(lapack)                 lapack
  maybe  g++         g++                                gcc-c++                           gcc                     gcc-c++                           -
  maybe  cmake       cmake                              cmake                             cmake                   cmake                             cmake
  maybe  make        make                               make                              make                    make                              make
END
}

command_exists() {
    command -v "$1" >/dev/null 2>&1
}

library_exists() {
    command_exists pkg-config && pkg-config --exists "$1"
}

# loads LIBRARY: whether a path or a name of a library leads somewhere, as far as that can be told.
loads() {
    case $1 in
        '') return 1 ;;
        */*) [ -e "$1" ] ;;
        *)
            known=$({ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null) || return 0
            case $known in *"${1%%.so*}.so"*) ;; *) return 1 ;; esac # it lists libx.so.2, not libx.so.2.1
            ;;
    esac
}

# driver_library PATTERN: what the first .icd file of an OpenCL driver says of its library; nothing where there is none.
# A package that was removed but not purged leaves the file behind.
driver_library() {
    grep -ish -e "$1" "${QUERN_ICD_VENDORS:-/etc/OpenCL/vendors}"/*.icd | while read -r library || [ -n "$library" ]; do
        if loads "$library"; then
            echo "$library"
            break
        fi
    done
}

# preprocesses HEADER FLAG...: whether the C compiler works and finds a header.
preprocesses() {
    header=$1
    shift
    command_exists "${CC:-cc}" && echo "#include <$header>" | "${CC:-cc}" "$@" -E -x c - >/dev/null 2>&1
}

opencl_exists() {
    # shellcheck disable=SC2046 # flags are words
    library_exists OpenCL && preprocesses CL/cl.h $(pkg-config --cflags OpenCL)
}

# any_exists FILE...: whether a pattern, expanded by the caller, matched.
any_exists() {
    [ -e "$1" ]
}

have() {
    case $1 in
        cc) preprocesses stdio.h ;;
        OpenCL) opencl_exists ;;
        PoCL) [ -n "$(driver_library pocl)" ] ;;
        rusticl) [ -n "$(driver_library rusticl)" ] ;;
        libxxhash | jansson | libpng | cmocka | mpfr | lapack) library_exists "$1" ;;
        clang) command_exists clang-15 || command_exists clang ;;
        libclc) any_exists /usr/lib*/clc/*.bc || any_exists /usr/share/clc/*.bc ;;
        clblast) any_exists /usr/include/clblast_c.h || library_exists clblast ;;
        *) command_exists "$1" ;;
    esac
}

# wanted KIND...: the rows of these kinds whose thing is not there, as "thing packages" for this package manager.
wanted() {
    case $manager in dnf) column=2 ;; pacman) column=3 ;; zypper) column=4 ;; brew) column=5 ;; *) column=1 ;; esac
    needs | while read -r when thing packages; do
        case " $* " in *" $when "*) ;; *) continue ;; esac
        have "$thing" && continue
        set_column $packages
        echo "$thing $cell"
    done
}

# set_column CELL...: cell = the package manager's column.
set_column() {
    shift $((column - 1))
    cell=$1
}

# things_of, packages_of LINES: what `wanted` printed, as one line of words.
things_of() {
    echo "$1" | sed 's/ .*//' | tr '\n' ' ' | sed 's/ *$//'
}

packages_of() {
    echo "$1" | sed 's/^[^ ]* //' | tr ',' '\n' | sed '/^-$/d' | tr '\n' ' ' | sed 's/ *$//'
}

# ---- installing --------------------------------------------------------------------------------------------------

find_manager() {
    manager=
    for candidate in apt-get dnf pacman zypper brew; do
        if command_exists "$candidate"; then
            manager=${candidate%-get}
            return 0
        fi
    done
    return 1
}

# Sets `root`, the words before a command that only an administrator may run; fails where there is no way to become one.
# sudo may ask for a password only where somebody can answer.
find_root() {
    root=
    if [ "$manager" = brew ] || [ "$(id -u)" -eq 0 ]; then return 0; fi
    command_exists sudo || return 1
    root='sudo -n'
    if [ -t 0 ]; then root=sudo; fi
}

# What apt tells: on a terminal how far it is, else errors.
quiet='-qq'
[ ! -t 1 ] || quiet=

refreshed=
# Lists of packages are fetched once, and only when something is to be installed.
refresh() {
    [ -z "$refreshed" ] || return 0
    refreshed=yes
    [ "$manager" != apt ] || run $root apt-get $quiet -o Acquire::Retries=3 update ||
        say "note: the package lists could not be fetched; trying with those that are there"
}

# Installs packages and nothing that they merely recommend; apt must not remove others to make room.
install() {
    case $manager in
        apt) run $root env DEBIAN_FRONTEND=noninteractive apt-get $quiet -o Acquire::Retries=3 \
            -o DPkg::Lock::Timeout=600 install -y --no-install-recommends --no-remove "$@" ;;
        dnf) run $root dnf install -y --setopt=install_weak_deps=False "$@" ;;
        pacman) run $root pacman -S --noconfirm --needed "$@" ;;
        zypper) run $root zypper --non-interactive install --no-recommends "$@" ;;
        brew) run brew install "$@" ;;
    esac </dev/null
}

# install_required KIND...
install_required() {
    packages=$(packages_of "$(wanted "$@")")
    [ "$install" = yes ] || stop "missing, and not to be installed: $missing; with $manager that is: $packages"
    say "missing: $missing; installing with $manager: ${packages:-nothing}"
    find_root || stop "only an administrator can install what is missing, and there is no sudo here; ask for: $packages"
    if [ -n "$packages" ]; then
        refresh
        install $packages || stop "$manager could not install what is missing ($packages); its message is above"
    fi
    dry_run && return 0
    missing=$(things_of "$(wanted "$@")")
    [ -z "$missing" ] || stop "still missing after the installation, to be installed by hand: $missing"
}

# Things that only some tests need: together, or, when one of them cannot be had, one by one.
install_optional() {
    packages=$(packages_of "$(wanted maybe)")
    if [ "$install" = yes ] && [ -n "$packages" ] && find_root; then
        say "some tests also use: $missing; installing with $manager: $packages"
        refresh
        install $packages || for package in $packages; do
            install "$package" || say "note: $package could not be installed"
        done
    fi
    dry_run && return 0
    missing=$(things_of "$(wanted maybe)")
    [ -z "$missing" ] || say "note: tests that need one of these are skipped: $missing"
}

setup_packages() {
    kinds='demo'
    if [ "$1" = test ]; then kinds='demo test'; fi
    find_manager || manager=none
    missing=$(things_of "$(wanted $kinds)")
    if [ -z "$missing" ]; then
        say "all that is needed is there"
    elif [ "$manager" = none ]; then
        stop "there is no apt-get, dnf, pacman, zypper or brew here; install these by hand, then run this again: $missing"
    else
        install_required $kinds
    fi
    if [ "$1" = test ]; then
        missing=$(things_of "$(wanted maybe)")
        [ -z "$missing" ] || install_optional
    fi
    [ ! -d /proc/self ] || [ -d "/sys/devices/system" ] ||
        say "note: /sys is not mounted here; without it PoCL ends every program: mount -t sysfs sysfs /sys"
}

# ---- building ----------------------------------------------------------------------------------------------------

# hold DESCRIPTOR FILE WHAT: the lock is on the open file, so it ends with this shell and what it has started, however
# they end. Python has it on every system, once there is Python.
hold() {
    dry_run && return 0
    eval "exec $1<\"\$2\""
    python3 -c "import fcntl; fcntl.flock($1, fcntl.LOCK_EX | fcntl.LOCK_NB)" 2>/dev/null && return 0
    say "another run of these scripts is $3 here; waiting for it to end"
    python3 -c "import fcntl; fcntl.flock($1, fcntl.LOCK_EX)" || say "note: $2 cannot be locked; going on without"
}

# What decides how a directory is configured: which things are there, and the options.
describe() {
    needs | while read -r when thing packages; do
        if [ "$when" != '#' ] && have "$thing"; then echo "$thing"; fi
    done
    echo "options: $*"
}

# Where Meson configured a directory for; empty if that cannot be told.
source_of() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["directories"]["source"])' \
        "$1/meson-info/meson-info.json" 2>/dev/null || :
}

# configure DIR OPTION...: configures a directory if it is new, was moved or copied, or something came or went since.
# What Meson found once it believes for ever, and has_header also what it did not find: hence --clearcache.
configure() {
    dir=$1
    shift
    wanted=$(describe "$@")
    if [ ! -f "$dir/meson-private/coredata.dat" ]; then
        say "configuring $dir/"
        run meson setup "$dir" "$@" || return 1
    elif [ ! -f "$dir/build.ninja" ] || [ "$(source_of "$dir")" != "$(pwd -P)" ]; then
        say "configuring $dir/ anew: it was made in another place, or not finished"
        run meson setup --wipe "$dir" "$@" || return 1
    elif [ "$wanted" != "$(cat "$dir/setup-state" 2>/dev/null)" ]; then
        say "configuring $dir/ anew: what is installed has changed"
        { run meson configure --clearcache "$dir" && run meson setup --reconfigure "$dir" "$@"; } ||
            run meson setup --wipe "$dir" "$@" || return 1
    fi
    dry_run || echo "$wanted" >"$dir/setup-state"
}

setup_build() {
    hold 9 tools/setup.sh building
    configure "$@" || stop "$1/ could not be configured: see $1/meson-logs/meson-log.txt"
    say "compiling in $1/"
    run meson compile -C "$1" || stop "the project could not be compiled in $1/: see the compiler's message above;" \
        "if $1/ is from another machine or compiler, delete it and run this again"
    exec 9<&-
}
