# SPDX-License-Identifier: AGPL-3.0-only
# A stand-in for as much of nixpkgs' lib as deploy/nixos/module.nix uses, written for its test: options with types that check, and
# configuration by pieces. No merging of several modules, no priorities.
rec {
  recursiveUpdate = a: b:
    if builtins.isAttrs a && builtins.isAttrs b
    then a // builtins.mapAttrs (name: value: if a ? ${name} then recursiveUpdate a.${name} value else value) b
    else b;
  # Pieces that both name a list add to each other, as in NixOS.
  merge = a: b:
    if builtins.isAttrs a && builtins.isAttrs b
    then a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else if builtins.isList a && builtins.isList b then a ++ b
    else b;
  mkMerge = builtins.foldl' merge { };
  mkIf = condition: content: if condition then content else { };
  optionals = condition: list: if condition then list else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
  concatStringsSep = builtins.concatStringsSep;

  mkOption = option: option // { isOption = true; };
  mkEnableOption = text: mkOption { type = types.bool; default = false; description = "Whether to have ${text}."; };
  types = rec {
    bool = { name = "bool"; check = builtins.isBool; };
    str = { name = "str"; check = builtins.isString; };
    attrs = { name = "attrs"; check = builtins.isAttrs; };
    # Any path will do here.
    package = str // { name = "package"; };
    port = ints.between 0 65535 // { name = "port"; };
    ints.between = low: high: { name = "int"; check = value: builtins.isInt value && value >= low && value <= high; };
    enum = words: { name = "enum"; check = value: builtins.elem value words; };
    nullOr = type: { name = "null or ${type.name}"; check = value: value == null || type.check value; };
    listOf = type: { name = "list of ${type.name}"; check = value: builtins.isList value && builtins.all type.check value; };
  };

  # The values of a tree of options: what is given, checked, or the default. A name that is no option is an error.
  valuesOf = path: options: given:
    if options ? isOption then
      let value = if given != null then given else options.default or (throw "${path} has no default and was not given"); in
      if options.type.check value then value else throw "${path} is no ${options.type.name}"
    else
      let
        set = if given == null then { } else given;
        unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames set);
      in
      if unknown != [ ] then throw "${path} has no option ${builtins.head unknown}"
      else builtins.mapAttrs (name: option: valuesOf "${path}.${name}" option (set.${name} or null)) options;
}
