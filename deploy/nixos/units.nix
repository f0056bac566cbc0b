# SPDX-License-Identifier: AGPL-3.0-only
# The units of deploy/systemd as Nix values: NixOS gets the same text that Debian's package installs, so that no line of their hardening is
# written twice. Nothing but builtins.
let
  lines = text: builtins.filter builtins.isString (builtins.split "\n" text);
  # Settings in their order, as { section, key, value }. Comments and empty lines match neither form.
  settings = text:
    (builtins.foldl'
      (state: line:
        let
          header = builtins.match "\\[([A-Za-z]+)]" line;
          setting = builtins.match "([A-Za-z]+)=(.*)" line;
        in
        if header != null then state // { section = builtins.head header; }
        else if setting != null then state // {
          found = state.found ++ [{ inherit (state) section; key = builtins.elemAt setting 0; value = builtins.elemAt setting 1; }];
        }
        else state)
      { section = ""; found = [ ]; }
      (lines text)).found;
  # { Key = "value"; } of one section; a key that stands there several times has a list.
  section = name: all:
    let
      grouped = builtins.foldl'
        (done: line: done // { ${line.key} = (done.${line.key} or [ ]) ++ [ line.value ]; })
        { }
        (builtins.filter (line: line.section == name) all);
    in
    builtins.mapAttrs (_: values: if builtins.length values == 1 then builtins.head values else values) grouped;
  names = builtins.attrNames (builtins.readDir ../systemd);
  ending = suffix: builtins.filter (name: builtins.match ".*\\.${suffix}" name != null) names;
  stem = name: builtins.head (builtins.match "(.*)\\.[a-z]+" name);
  unit = name: settings (builtins.readFile (../systemd + "/${name}"));
  collect = suffix: builtins.listToAttrs (map
    (name: {
      name = stem name;
      value = builtins.listToAttrs (map (part: { name = part; value = section part (unit name); }) [ "Unit" "Service" "Socket" ]);
    })
    (ending suffix));
in
{
  services = collect "service";
  sockets = collect "socket";
  targets = collect "target";
  # The lines of deploy/tmpfiles.d.
  tmpfiles = builtins.filter (line: builtins.match "[a-z].*" line != null) (lines (builtins.readFile ../tmpfiles.d/auspex.conf));
}
