#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""Writes the bill of materials of a build as SPDX 2.3 JSON: our programs with their digests, and each Debian package that went into them.

  sbom.py --build FOLDER --programs FOLDER --version VERSION

What went in is read from the build itself, not from a list: the link lines of build.ninja (static and shared libraries) and the compiler's
own list of headers (ninja -t deps). Two runs on one build give the same octets; the time is SOURCE_DATE_EPOCH.
"""

import argparse
import datetime
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys


def owners(paths):
    """Package of each path, as dpkg knows it. A path may be known with or without /usr in front."""
    found, rest = {}, sorted(paths)
    for strip in (False, True):
        asked = {path.removeprefix("/usr") if strip else path: path for path in rest}
        names = sorted(asked)
        for begin in range(0, len(names), 500):
            done = subprocess.run(["dpkg-query", "--search", *names[begin:begin + 500]], capture_output=True, text=True, check=False,
                                  env={**os.environ, "LC_ALL": "C"})
            for line in done.stdout.splitlines():
                package, _, path = line.partition(": ")
                if path in asked and not line.startswith("diversion"):
                    found[asked[path]] = package.split(",")[0].split(":")[0]
        rest = [path for path in rest if path not in found]
    return found


def linked(build):
    """Absolute paths of libraries on the link lines of our programs."""
    paths, ours = set(), False
    for line in (build / "build.ninja").read_text().splitlines():
        if line.startswith("build "):
            ours = bool(re.match(r"build (bin|share/examples)/", line))
        elif ours and line.startswith("  LINK_LIBRARIES = "):
            endings = (".so", ".a")
            for word in re.split(r"[\s,]+", line.split("=", 1)[1]):
                if word in ("-Bstatic", "-Bdynamic"):
                    endings = (".a",) if word == "-Bstatic" else (".so", ".a")
                elif re.match(r"/.*\.(a|so)(\.[0-9.]+)?$", word):
                    paths.add(word)
                elif word.startswith("-l:"):
                    paths.add(place_of(word[3:]))
                elif word.startswith("-l"):
                    paths.add(next(filter(None, (place_of(f"lib{word[2:]}{ending}") for ending in endings)), ""))
    return paths - {""}


@functools.cache
def place_of(name):
    """Where the linker finds a library by its file name; empty: it does not."""
    done = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return os.path.realpath(done.stdout.strip()) if done.stdout.startswith("/") else ""


def included(build):
    """Headers of the system that any object of the build was compiled from."""
    text = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], capture_output=True, text=True, check=True).stdout
    return {line.strip() for line in text.splitlines() if line.startswith("    /usr/")}


def described(names):
    """Version, architecture and source of installed packages."""
    form = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
    done = subprocess.run(["dpkg-query", "--show", f"--showformat={form}", *sorted(names)], capture_output=True, text=True, check=True)
    return {fields[0]: fields for fields in (line.split("\t") for line in done.stdout.splitlines())}


def identifier(kind, name):
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def document(build, programs, version):
    libraries, headers = owners(os.path.realpath(path) for path in linked(build)), owners(included(build))
    static = {package for path, package in libraries.items() if path.endswith(".a")}
    shared = {package for path, package in libraries.items() if not path.endswith(".a")}
    names = static | shared | set(headers.values())
    if not static or not headers:
        raise SystemExit(f"sbom: {build}: neither libraries nor headers were found; was it built?")
    packages = [{
        "SPDXID": "SPDXRef-Package-auspex", "name": "auspex", "versionInfo": version, "supplier": "Organization: The Auspex authors",
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "AGPL-3.0-only", "licenseDeclared": "AGPL-3.0-only",
        "copyrightText": "2026 The Auspex authors"}]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Package-auspex")]
    for name, (_, its_version, architecture, source, source_version) in sorted(described(names).items()):
        ref = identifier("Debian", name)
        packages.append({
            "SPDXID": ref, "name": name, "versionInfo": its_version, "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
            "sourceInfo": f"built from the Debian source {source} {source_version}",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": f"pkg:deb/debian/{name}@{its_version}?arch={architecture}"}]})
        if name in static:
            relations.append(("SPDXRef-Package-auspex", "STATIC_LINK", ref))
        if name in shared:
            relations.append(("SPDXRef-Package-auspex", "DYNAMIC_LINK", ref))
        if name not in static and name not in shared:
            relations.append((ref, "BUILD_DEPENDENCY_OF", "SPDXRef-Package-auspex"))
    files = []
    for path in sorted(programs.iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        ref = identifier("Program", path.name)
        files.append({"SPDXID": ref, "fileName": f"./{path.name}", "licenseConcluded": "AGPL-3.0-only", "copyrightText": "NOASSERTION",
                      "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(path.read_bytes()).hexdigest()},
                                    {"algorithm": "SHA256", "checksumValue": hashlib.sha256(path.read_bytes()).hexdigest()}],
                      "comment": "as linked; the package holds it without its symbols"})
        relations.append(("SPDXRef-Package-auspex", "CONTAINS", ref))
    created = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {"packages": packages, "files": files,
               "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                                 for one, kind, other in relations]}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"auspex-{version}",
            "documentNamespace": f"https://auspex.invalid/spdx/auspex-{version}-{digest}",
            "creationInfo": {"created": created, "creators": ["Tool: auspex deploy/debian/sbom.py"]}, **content}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    given = parser.parse_args()
    json.dump(document(given.build, given.programs, given.version), sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
