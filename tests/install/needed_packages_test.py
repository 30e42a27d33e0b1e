#!/usr/bin/env python3
"""docs/guide/arm.md names the Debian packages that the command needs, all of them and no others.

Arguments: the command asmlp, the project's folder. Exit code 77 where there is no dpkg or readelf.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

program, root = sys.argv[1], Path(sys.argv[2])
if not shutil.which("dpkg-query") or not shutil.which("readelf"):
    print("skipped: there is no dpkg or readelf here")
    sys.exit(77)


def output(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", program))
# Where the loader finds them; dpkg may know a file by another of its names (/lib, /usr/lib).
paths = dict(re.findall(r"^\s*(\S+) => (\S+)", output("ldd", program), re.MULTILINE))
packages = set()
for name in needed:
    file = Path(paths.get(name, "/nowhere")).resolve()
    for known_as in (str(file), str(file).removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "--search", known_as], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True).stdout
        packages |= {line.split(":")[0] for line in found.splitlines()}
if not packages:
    print(f"skipped: {program} needs {needed}, none of a Debian package")
    sys.exit(77)
packages -= {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}  # of every system
named = set(re.search(r"`sudo apt-get install (lib[^`]*)`", (root / "docs/guide/arm.md").read_text())[1].split())
print("needed:", *sorted(packages))
if packages != named:
    print("docs/guide/arm.md lacks", sorted(packages - named), "and has too many:", sorted(named - packages))
    sys.exit(1)
