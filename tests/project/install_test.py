#!/usr/bin/env python3
"""install_test.py: quern installed, as another project finds it.

    python3 tests/project/install_test.py

A copy of the sources is built and installed below a prefix of its own, without optimisation. README's program is then
compiled as README says, in C and in C++11 to C++20, and linked with the shared and the static library; examples/use is
built with make, CMake and Meson, there with quern as a subproject too; installed files are those that should be, found
where the project says, also after the prefix has moved, and go away again.
Needs a device. Prints an `ok` or `not ok` line per test, then `N passed, N failed, N skipped`.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from verdicts import finish, report, skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ('include', 'src', 'cl', 'cmake', 'tools', 'examples', 'bench', 'tests', 'meson.build', 'meson_options.txt')
WITHOUT = ['-Dtests=disabled', '-Dexamples=disabled', '-Dbench=disabled', '-Dbuildtype=plain']
STANDARDS = ('c++11', 'c++14', 'c++17', 'c++20')


def run(command, where='.', **environment):
    """(output, None) or ('', the end of what it printed); a command is a list of words or a line for the shell."""
    done = subprocess.run(command, cwd=where, shell=isinstance(command, str), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', env={**os.environ, **environment})
    if done.returncode:
        return '', '\n'.join([f'{command}: exit code {done.returncode}'] + done.stdout.splitlines()[-12:])
    return done.stdout, None


def steps(*commands, where='.', **environment):
    """The output of the last command, or the fault of the first that fails."""
    output, fault = '', None
    for command in commands:
        if not fault:
            output, fault = run(command, where, **environment)
    return output, fault


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


def expect(name, result, wanted):
    """`wanted` is to be what was printed."""
    got, fault = result
    report(name, fault or (got != wanted and f'printed\n{got}not\n{wanted}'))


def files_below(folder):
    return {os.path.relpath(os.path.join(path, name), folder) for path, _, names in os.walk(folder) for name in names}


class Place:
    """The temporary folders: sources, build, prefix; README's program and its command."""

    def __init__(self, folder):
        self.folder = folder
        self.sources, self.build, self.prefix = (os.path.join(folder, name) for name in ('sources', 'build', 'prefix'))
        self.lib = os.path.join(self.prefix, 'lib')
        self.pkg_config = os.path.join(self.lib, 'pkgconfig')
        readme = read('README.md')
        self.program = re.search(r'^```c\n(.*?)^```$', readme, re.M | re.S).group(1)
        self.command, self.printed = re.search(r'^    \$ (cc first\.c .*)\n((?:    [^$\n]*\n)+)', readme, re.M).groups()
        self.printed = self.printed.replace('    ', '')
        self.story = ''.join(line + '\n' for line in re.findall(r'// prints: (.*)', read('examples', '02_first_program.c')))
        os.makedirs(self.sources)
        for name in SOURCES:
            source, copy = os.path.join(ROOT, name), os.path.join(self.sources, name)
            if os.path.isdir(source):
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns('__pycache__', 'results', 'golden', '*.tsv'))
            else:
                shutil.copy(source, copy)
        for name in ('first.c', 'first.cc'):
            with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
                file.write(self.program)


# ---- installing -------------------------------------------------------------------------------------------------

def test_install(place):
    _, fault = steps(['meson', 'setup', place.build, place.sources, '--prefix', place.prefix, *WITHOUT],
                     ['meson', 'compile', '-C', place.build], ['meson', 'install', '-C', place.build, '--no-rebuild'])
    report('configured, compiled and installed below a prefix', fault)
    return not fault


def test_files(place):
    installed = files_below(place.prefix)
    headers = {name for name in installed if name.startswith('include/')}
    wanted = {'include/' + name for name in files_below(os.path.join(ROOT, 'include'))}
    if 'lib/libquern-mpi.so' not in installed:
        wanted.discard('include/quern/mpi.h')
    report('the headers are those of include/', ' '.join(sorted(headers ^ wanted)))
    wanted = {'lib/libquern.a', 'lib/libquern.so', 'lib/libquern.so.0', 'lib/pkgconfig/quern.pc',
              'lib/pkgconfig/quern-static.pc', 'lib/cmake/quern/quernConfig.cmake',
              'lib/cmake/quern/quernConfigVersion.cmake'}
    report('libraries lie in lib/, whatever Debian is there', ' '.join(sorted(wanted - installed)))
    outside = [name for name in installed if name.split('/')[0] not in ('bin', 'include', 'lib', 'share')]
    report('nothing lies elsewhere', ' '.join(outside))
    texts = [name for name in installed if name.endswith(('.h', '.def', '.pc', '.cmake', '.1'))]
    named = []
    for name in texts:
        with open(os.path.join(place.prefix, name), encoding='utf-8') as file:
            text = file.read()
        if place.sources in text or place.build in text or (name.endswith('.cmake') and place.prefix in text):
            named.append(name)
    report('no installed text names the folders of the build', ' '.join(named))


def test_version(place):
    options = json.loads(run(['meson', 'introspect', '--projectinfo', place.build])[0] or '{}')
    version = options.get('version', '')
    header = re.search(r'#define QUERN_VERSION "(.*)"', read('include', 'quern.h')).group(1)
    told = {'the header': header}
    for name in ('quern', 'quern-static'):
        told[name + '.pc'] = run(['pkg-config', '--modversion', name], PKG_CONFIG_PATH=place.pkg_config)[0].strip()
    told['the library'] = os.path.realpath(os.path.join(place.lib, 'libquern.so')).partition('.so.')[2]
    report('one version', '\n'.join(f'{who}: {what}, the project: {version}' for who, what in told.items() if what != version))


def test_uninstall(place):
    _, fault = run(['ninja', '-C', place.build, 'uninstall'])
    left = files_below(place.prefix)
    report('uninstalled, nothing is left', fault or ' '.join(sorted(left)))


# ---- README's program -------------------------------------------------------------------------------------------

def needed(program):
    """The shared libraries that a program names."""
    return re.findall(r'NEEDED.*\[(.*)\]', run(['readelf', '-d', program])[0])


def test_first_program(place):
    found = {'PKG_CONFIG_PATH': place.pkg_config}
    shared = {**found, 'LD_LIBRARY_PATH': place.lib}
    expect('README\'s program, as README says', run(place.command, place.folder, **shared), place.printed)
    line = place.command.replace('--libs quern)', f'--libs quern) -Wl,-rpath,{place.lib}')
    expect('with the place of the library in the program', run(line, place.folder, **found), place.printed)
    line = place.command.replace('--libs quern', '--libs quern-static')
    expect('with the static library', run(line, place.folder, **found), place.printed)
    names = needed(os.path.join(place.folder, 'first')) if shutil.which('readelf') else []
    report('which it needs no longer', ' '.join(name for name in names if 'quern' in name))
    line = place.command.replace('--libs', '--static --libs')
    expect('with what the static library needs', run(line, place.folder, **shared), place.printed)
    flags = run(['pkg-config', '--static', '--libs', 'quern'], **found)[0].split()
    report('pkg-config knows it', ' '.join(flag for flag in ('-lOpenCL', '-lxxhash', '-lm') if flag not in flags))
    for standard in STANDARDS:
        name = f'README\'s program in {standard}'
        line = place.command.replace('cc first.c', f'c++ -std={standard} -Wall -Wextra -pedantic -Werror first.cc')
        if shutil.which('c++'):
            expect(name, run(line, place.folder, **shared), place.printed)
        else:
            skip(name, 'there is no C++ compiler')


# ---- examples/use -----------------------------------------------------------------------------------------------

def test_make(place):
    use = os.path.join(place.sources, 'examples', 'use')
    if not shutil.which('make'):
        return skip('examples/use with make', 'make is not installed')
    for program in ('first', 'first-static'):
        got = steps(['make', program, f'RPATH={place.lib}'], ['./' + program], where=use, PKG_CONFIG_PATH=place.pkg_config)
        expect(f'examples/use with make: {program}', got, place.story)


def test_meson(place):
    """The installed library, then the same project with quern in its folder subprojects/."""
    use, build = os.path.join(place.sources, 'examples', 'use'), os.path.join(place.folder, 'use')
    got = steps(['meson', 'setup', build, use, '--wrap-mode=nofallback'], ['meson', 'compile', '-C', build],
                [build + '/first'], PKG_CONFIG_PATH=place.pkg_config, LD_LIBRARY_PATH=place.lib)
    expect('examples/use with Meson', got, place.story)


def test_subproject(place):
    use, build = os.path.join(place.folder, 'parent', 'use'), os.path.join(place.folder, 'subproject')
    shutil.copytree(os.path.join(place.sources, 'examples', 'use'), use)
    shutil.copy(os.path.join(place.sources, 'examples', '02_first_program.c'), os.path.join(place.folder, 'parent'))
    os.makedirs(os.path.join(use, 'subprojects'))
    os.rename(place.sources, os.path.join(use, 'subprojects', 'quern'))
    got = steps(['meson', 'setup', build, use, '--buildtype=plain', '--prefix', place.prefix, '--wrap-mode=forcefallback'],
                ['meson', 'compile', '-C', build], [build + '/first'])
    expect('examples/use with quern as a subproject', got, place.story)
    targets = json.loads(run(['meson', 'introspect', '--targets', build])[0] or '[]')
    names = {target['name'] for target in targets} - {'first', 'quern', 'cl_files'}
    report('which builds the library alone', ' '.join(sorted(names)))
    got = steps(['meson', 'configure', build, '-Dquern:default_library=static'], ['meson', 'compile', '-C', build],
                [build + '/first'])
    expect('and as a static one', got, place.story)
    names = needed(build + '/first') if shutil.which('readelf') else []
    report('which the program needs no longer, either', ' '.join(name for name in names if 'quern' in name))


def cmake_finds(place, name, prefix, lines, wanted):
    """Configures a project of these lines; `wanted` is a part of what CMake prints, or fails with."""
    project, build = (os.path.join(place.folder, 'find', name.replace(' ', '-') + end) for end in ('', '-build'))
    os.makedirs(project)
    with open(os.path.join(project, 'CMakeLists.txt'), 'w', encoding='utf-8') as file:
        file.write('cmake_minimum_required(VERSION 3.16)\nproject(find C)\n' + lines)
    done = subprocess.run(['cmake', '-S', project, '-B', build, '-DCMAKE_PREFIX_PATH=' + prefix], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    report(f'CMake: {name}', wanted not in ' '.join(done.stdout.split()) and done.stdout)


def test_cmake(place):
    if not shutil.which('cmake'):
        return skip('examples/use with CMake', 'cmake is not installed')
    use, build = os.path.join(place.sources, 'examples', 'use'), os.path.join(place.folder, 'cmake')
    moved = place.prefix + ' moved'
    shutil.copytree(place.prefix, moved, symlinks=True)
    for program in ('first', 'first-static'):
        got = steps(['cmake', '-S', use, '-B', build, '-DCMAKE_PREFIX_PATH=' + moved], ['cmake', '--build', build],
                    [os.path.join(build, program)])
        expect(f'examples/use with CMake, the prefix moved: {program}', got, place.story)
    names = needed(os.path.join(build, 'first-static')) if shutil.which('readelf') else []
    report('CMake: quern::static is linked into the program', ' '.join(name for name in names if 'quern' in name))
    cmake_finds(place, 'this version', moved, 'find_package(quern 0.1.0 EXACT REQUIRED)\nmessage("it is ${quern_VERSION}")\n',
                'it is 0.1.0')
    cmake_finds(place, 'a later version', moved, 'find_package(quern 0.1.7 REQUIRED)\n', 'version "0.1.7"')
    cmake_finds(place, 'another series', moved, 'find_package(quern 1.0 REQUIRED)\n', 'version "1.0"')
    cmake_finds(place, 'twice', moved, 'find_package(quern REQUIRED)\n' * 2 + 'message("found")\n', 'found')
    cmake_finds(place, 'an unknown component', moved, 'find_package(quern REQUIRED COMPONENTS gpu)\n', 'component gpu')
    kind = 'find_package(quern REQUIRED)\nget_target_property(kind quern::quern TYPE)\nmessage("kind ${kind}")\n'
    library, away = os.path.join(moved, 'lib', 'libquern.a'), os.path.join(place.folder, 'libquern.a')
    os.rename(library, away)
    cmake_finds(place, 'no static library', moved, 'find_package(quern REQUIRED COMPONENTS static)\n', 'libquern.a')
    cmake_finds(place, 'the shared one alone', moved, kind, 'kind SHARED_LIBRARY')
    os.rename(away, library)
    os.remove(os.path.join(moved, 'lib', 'libquern.so.0'))
    cmake_finds(place, 'the static one alone', moved, kind, 'kind STATIC_LIBRARY')
    os.remove(library)
    cmake_finds(place, 'neither', moved, kind, 'there is no')


def main(arguments):
    if arguments:
        print('usage: install_test.py', file=sys.stderr)
        return 2
    missing = [name for name in ('meson', 'ninja', 'pkg-config', 'cc') if not shutil.which(name)]
    if missing:
        skip('quern installed', 'there is no ' + ' and no '.join(missing))
    else:
        with tempfile.TemporaryDirectory() as folder:
            place = Place(folder)
            if test_install(place):
                test_files(place)
                test_version(place)
                test_first_program(place)
                test_make(place)
                test_meson(place)
                test_cmake(place)
                test_uninstall(place)
                test_subproject(place)
    return finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
