#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-only
"""The NixOS module: Nix reads it, and evaluates it beside a stand-in for nixpkgs' lib (lib.nix) to services that have the hardening of
deploy/systemd line by line. What takes nixpkgs, a Nix build or a NixOS machine is not shown here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import skip  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
DEPLOY = pathlib.Path(os.environ.get("AUSPEX_SOURCE_DIR", HERE.parent.parent)) / "deploy"
NIX = shutil.which("nix-instantiate")
PACKAGE = "/nix/store/auspex"
GPU = {"enable": True, "devices": ["/dev/kfd", "/dev/dri/renderD128"], "tenants": ["acme"]}


def nix(*words):
    with tempfile.TemporaryDirectory() as state:
        environment = {"PATH": os.environ["PATH"], "HOME": state, "NIX_STATE_DIR": state, "NIX_STORE_DIR": f"{state}/store",
                       "NIX_CONF_DIR": state}
        return subprocess.run([NIX, *words], capture_output=True, text=True, check=False, env=environment)


def evaluate(**services):
    """The configuration that the options lead to. Raises ValueError with what Nix said."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as given:
        json.dump(services, given)
        given.flush()
        done = nix("--store", "dummy://", "--eval", "--strict", "--json", str(HERE / "evaluate.nix"), "--arg", "given", given.name)
    if done.returncode != 0:
        raise ValueError(done.stderr)
    return json.loads(done.stdout)


def worker(**options):
    return evaluate(auspex={"enable": True, "package": PACKAGE, **options})


def lines_of(name, section):
    """KEY=VALUE lines of one section of a unit of deploy/systemd."""
    lines, at = [], ""
    for line in (DEPLOY / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            at = line.strip("[]")
        elif line and not line.startswith("#") and at == section:
            lines.append(line)
    return lines


def rendered(config):
    """The same of an evaluated section, as NixOS writes it: a line for each element of a list."""
    return [f"{key}={value}" for key, values in config.items() for value in (values if isinstance(values, list) else [values])]


@skip.unless(NIX is not None, "nix-instantiate (package nix-bin)")
class TheModule(unittest.TestCase):
    maxDiff = None

    def differences(self, name, config):
        want, have = lines_of(f"{name}.service", "Service"), rendered(config["systemd"]["services"][name]["serviceConfig"])
        # What the shipped units say of one setting stands in their order: a second SystemCallFilter= takes away from the first.
        for key in {line.split("=")[0] for line in want}:
            both = [[line for line in one if line in other and line.split("=")[0] == key] for one, other in ((want, have), (have, want))]
            self.assertEqual(*both)
        return sorted(set(want) - set(have)), sorted(set(have) - set(want))

    def test_nix_reads_every_file(self):
        for path in [*DEPLOY.glob("nixos/*.nix"), *HERE.glob("*.nix")]:
            done = nix("--parse", str(path))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_service_has_the_hardening_of_the_shipped_units(self):
        config = worker()
        for daemon in ("keyd", "stated", "netd", "runnerd"):
            gone, new = self.differences(f"auspex-{daemon}", config)
            self.assertEqual(gone, [f"ExecStart=/usr/libexec/auspex/auspex-{daemon} --system"])
            extra = ["BindReadOnlyPaths=/nix/store/auspex-tenant-tree:/usr"] if daemon == "runnerd" else []
            self.assertEqual(new, [*extra, f"ExecStart={PACKAGE}/bin/auspex-{daemon} --system"])

    def test_units_sockets_and_target_are_the_shipped_ones(self):
        systemd = worker()["systemd"]
        shipped = {path.name for path in (DEPLOY / "systemd").iterdir()}
        made = {f"{name}.{kind}" for kind, key in (("service", "services"), ("socket", "sockets"), ("target", "targets"))
                for name in systemd[key]}
        self.assertEqual(made, shipped)
        for name, socket in systemd["sockets"].items():
            self.assertEqual(sorted(rendered(socket["socketConfig"])), sorted(lines_of(f"{name}.socket", "Socket")))
            self.assertEqual(sorted(rendered(socket["unitConfig"])), sorted(lines_of(f"{name}.socket", "Unit")))
        for name, service in systemd["services"].items():
            self.assertEqual(sorted(rendered(service["unitConfig"])), sorted(lines_of(f"{name}.service", "Unit")))
        self.assertEqual(sorted(rendered(systemd["targets"]["auspex"]["unitConfig"])), sorted(lines_of("auspex.target", "Unit")))

    def test_the_seal_is_made_by_programs_that_are_there(self):
        gone, new = self.differences("auspex-seal", worker())
        self.assertEqual([line.split("=")[0] for line in gone + new], ["ExecStart"] * 6)
        for line in new:
            self.assertNotRegex(line.replace("/nix/store", "").replace("/dev/urandom", ""), r"[ =;|](/usr)?/bin/")

    def test_users_and_folders_are_those_of_the_package(self):
        config = worker()
        users = [line.split()[1] for line in (DEPLOY / "sysusers.d/auspex.conf").read_text().splitlines() if line.startswith("u ")]
        self.assertEqual(sorted(config["users"]["users"]), sorted(users))
        self.assertTrue(all(user["isSystemUser"] for user in config["users"]["users"].values()))
        self.assertIn("auspex", config["users"]["groups"])
        folders = [line for line in (DEPLOY / "tmpfiles.d/auspex.conf").read_text().splitlines() if line.startswith("d ")]
        self.assertEqual(config["systemd"]["tmpfiles"]["rules"], [line for line in folders])

    def test_options_reach_the_configuration_and_settings_win(self):
        config = worker(coordinator={"url": "https://lab.example"}, profile="lean", slots=3, gpu=GPU,
                        settings={"resources": {"slots": 5}, "executor": {"execute_tenant_code": "provisioned"}})
        made = config["environment"]["etc"]["auspex/worker.toml"]["source"]["value"]
        self.assertEqual(made, {"coordinator": {"url": "https://lab.example"}, "worker": {"flavor": "lean"}, "resources": {"slots": 5},
                                "executor": {"execute_tenant_code": "provisioned"},
                                "gpu": {"devices": GPU["devices"], "tenants": ["acme"]}})
        made = worker(gpu={**GPU, "hsaOverrideGfxVersion": "10.3.0"})["environment"]["etc"]["auspex/worker.toml"]["source"]["value"]
        self.assertEqual(made["gpu"]["hsa_override_gfx_version"], "10.3.0")
        self.assertNotIn("worker", worker()["environment"]["etc"]["auspex/worker.toml"]["source"]["value"])

    def test_accelerators_open_runnerds_devices_and_nothing_else(self):
        config = worker(gpu={**GPU, "hsaOverrideGfxVersion": "10.3.0"})
        gone, new = self.differences("auspex-runnerd", config)
        self.assertEqual(gone, ["ExecStart=/usr/libexec/auspex/auspex-runnerd --system", "PrivateDevices=yes"])
        self.assertEqual(new, ["BindReadOnlyPaths=/nix/store/auspex-tenant-tree:/usr", "DeviceAllow=/dev/dri/renderD128 rw",
                               "DeviceAllow=/dev/kfd rw", f"ExecStart={PACKAGE}/bin/auspex-runnerd --system", "PrivateDevices=no", "SupplementaryGroups=render",
                               "SupplementaryGroups=video"])
        self.assertEqual(len(self.differences("auspex-keyd", config)[1]), 1)

    def test_wrong_options_are_refused(self):
        for options, said in (({"slots": 0}, "slots"), ({"profile": "huge"}, "profile"), ({"slotz": 1}, "no option slotz"),
                              ({"gpu": {"enable": True}}, "must both be named"),
                              ({"gpu": GPU, "userSeparation": False}, "services of the system")):
            with self.assertRaisesRegex(ValueError, said):
                worker(**options)
        with self.assertRaisesRegex(ValueError, "package has no default"):
            evaluate(auspex={"enable": True})

    def test_without_separation_there_is_no_service_of_the_system(self):
        config = worker(userSeparation=False, persons=["ann"])
        self.assertNotIn("systemd", config)
        self.assertEqual(config["users"]["users"], {"ann": {"linger": True}})
        self.assertEqual(config["environment"]["systemPackages"], [PACKAGE])

    def test_a_coordinator_opens_its_port_when_told(self):
        lab = {"enable": True, "address": "0.0.0.0", "tlsCertificate": "/var/lib/acme/c.pem", "tlsKey": "/var/lib/acme/k.pem"}
        config = evaluate(auspex={"package": PACKAGE}, **{"auspex-coordinator": {**lab, "openFirewall": True}})
        self.assertEqual(config["networking"]["firewall"]["allowedTCPPorts"], [8450])
        lines = rendered(config["systemd"]["services"]["auspex-coordinator"]["serviceConfig"])
        for line in ("SocketBindAllow=tcp:8450", "SocketBindDeny=any", "ProtectSystem=strict", "CapabilityBoundingSet=", "User=auspex-coordinator"):
            self.assertIn(line, lines)
        self.assertTrue(any("--allow-remote" in line for line in lines))
        closed = evaluate(auspex={"package": PACKAGE}, **{"auspex-coordinator": lab})
        self.assertEqual(closed["networking"]["firewall"]["allowedTCPPorts"], [])
        for wrong in ({"address": "0.0.0.0"}, {"tlsKey": "/k"}):
            with self.assertRaises(ValueError):
                evaluate(auspex={"package": PACKAGE}, **{"auspex-coordinator": {"enable": True, **wrong}})

    def test_nothing_is_configured_that_was_not_asked_for(self):
        self.assertEqual(evaluate(auspex={"package": PACKAGE}), {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
