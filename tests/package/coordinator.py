# SPDX-License-Identifier: AGPL-3.0-only
"""A lab's coordinator in the machine, and what a tenant hands it."""

import base64
import hashlib
import http.client
import io
import json
import pathlib
import subprocess
import tarfile
import time

EXAMPLES = pathlib.Path("/usr/share/auspex/examples")
# Of the one that the package installs.
PORT = 8450
URL = f"http://127.0.0.1:{PORT}"


def package(name, label, script=None, examples=EXAMPLES):
    """(manifest, archive) of the example `name` as experiment `label`; with `script` its program is that text for sh."""
    manifest = json.loads((examples / name / "manifest.json").read_text())
    files = {str(path.relative_to(examples / name)): (path.read_bytes(), path.stat().st_mode & 0o755)
             for path in (examples / name).rglob("*") if path.is_file() and path.name != "manifest.json"}
    if script is not None:
        files = {"run": (b"#!/bin/sh\n" + script.encode(), 0o755)}
        manifest["executor"]["command"] = ["./run"]
    manifest["experiment_id"] = label
    # Wire protocol, 4.5.
    lines = [name.encode() + b"\0" + hashlib.sha256(data).hexdigest().encode()
             for name, (data, _) in sorted(files.items(), key=lambda file: file[0].split("/"))]
    manifest["executor"]["package_sha256"] = hashlib.sha256(b"\n".join(lines)).hexdigest()
    files["manifest.json"] = (json.dumps(manifest).encode(), 0o644)
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w:gz") as archive:
        for name, (data, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return manifest, base64.b64encode(octets.getvalue()).decode()


def sweep(count):
    """Units of the real experiment."""
    return [{"unit_id": f"u-{i:02}", "payload": {"epsilon": round(i % 5 * 0.05, 2), "seed": i // 5}} for i in range(count)]


class Coordinator:
    """By default as the package installs it, under its profile. Lives on over a restart of the machine when it is started again: its state, in
    /var/lib, stays where it is."""

    def __init__(self, program="/usr/bin/auspex-coordd", port=PORT, unit="auspex-vm-coordd", state="auspex-coordinator"):
        self.program, self.port, self.unit, self.state = program, port, unit, pathlib.Path("/var/lib") / state

    def start(self):
        # As an ordinary user, who keeps its state where the profile knows it.
        subprocess.run(["systemd-run", "--quiet", f"--unit={self.unit}", "--property=User=owner", f"--property=StateDirectory={self.state.name}",
                        "--property=StateDirectoryMode=0700", self.program, "--state", self.state, "--listen", f"127.0.0.1:{self.port}",
                        "--idp", "fake"], check=True)
        for _ in range(600):
            try:
                if self.call("GET", "/health/public", signed=False):
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
        raise RuntimeError("the coordinator does not answer")

    def call(self, method, path, body=None, signed=True):
        headers = {"Content-Type": "application/json"}
        if signed:
            headers["Authorization"] = "Bearer " + json.loads((self.state / "tokens.json").read_text())["tokens"][0]["token"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, "/api/v0" + path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text}")
        return json.loads(text)

    def submit(self, staged, units):
        """Each unit once. The experiment's id."""
        manifest, archive = staged
        return self.call("POST", "/lab/experiments", {"manifest": manifest, "units": units, "replication_target": 1, "sandbox_level": "strict",
                                                      "finalize": True, "package_tar_gz_b64": archive})["experiment_id"]

    def progress(self, experiment):
        return self.call("GET", f"/lab/experiments/{experiment}")

    def completed(self, experiment):
        return self.progress(experiment)["units"].get("completed", 0)

    def results(self, experiment):
        """unit -> its results."""
        return {unit["unit_id"]: unit["results"] for unit in self.call("GET", f"/lab/experiments/{experiment}/results")["units"]}
