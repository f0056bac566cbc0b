# SPDX-License-Identifier: AGPL-3.0-only
# What deploy/nixos/module.nix makes of the options in the file `given` (JSON): the configuration of the host, as one value.
{ given }:
let
  lib = import ./lib.nix;
  pkgs = {
    bash = "/nix/store/bash";
    coreutils = "/nix/store/coreutils";
    python3 = "/nix/store/python3";
    systemd = "/nix/store/systemd";
    runtimeShell = "/nix/store/bash/bin/bash";
    buildEnv = { name, ... }: "/nix/store/${name}";
    formats.toml = _: { generate = name: value: { inherit name value; }; };
  };
  module = import ../../deploy/nixos/module.nix {
    config.services = lib.valuesOf "services" module.options.services (builtins.fromJSON (builtins.readFile given));
    inherit lib pkgs;
  };
  failed = builtins.filter (one: !one.assertion) (module.config.assertions or [ ]);
in
if failed != [ ] then throw (builtins.head failed).message
else builtins.removeAttrs module.config [ "assertions" ]
