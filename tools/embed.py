#!/usr/bin/env python3
"""Writes a C file that holds the given files as strings, for q_cl_file().

usage: embed.py OUTPUT.c FILE...        A file a/b/name.ext is found by "name".
"""
import os
import sys


def quoted(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'    "{escaped}\\n"'


def main(output, paths):
    parts = ["/* Made by tools/embed.py from the files of cl/. */", "#include <string.h>", "", '#include "plan/plan.h"', ""]
    names = []
    for path in paths:
        name = os.path.splitext(os.path.basename(path))[0]
        names.append(name)
        with open(path, encoding="ascii") as source:
            lines = source.read().splitlines()
        parts += [f"static const char file_{name}[] ="] + [quoted(line) for line in lines] + ["    ;", ""]
    parts += ["const char *q_cl_file(const char *name)", "{"]
    parts += [f'    if (strcmp(name, "{name}") == 0) return file_{name};' for name in names]
    parts += ["    return NULL;", "}"]
    with open(output, "w", encoding="ascii") as out:
        out.write("\n".join(parts) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
