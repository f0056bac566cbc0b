# SPDX-License-Identifier: AGPL-3.0-only
# The worker, and a lab's coordinator, as services of a NixOS host. README.md says how to use it and what of it has been shown.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkEnableOption mkIf mkMerge mkOption types;
  cfg = config.services.auspex;
  lab = config.services.auspex-coordinator;
  units = import ./units.nix;
  daemons = [ "keyd" "stated" "netd" "runnerd" ];

  settings = lib.recursiveUpdate
    ({
      coordinator.url = cfg.coordinator.url;
      resources.slots = cfg.slots;
    }
    // lib.optionalAttrs (cfg.profile != "auto") { worker.flavor = cfg.profile; }
    // lib.optionalAttrs cfg.gpu.enable {
      gpu = { inherit (cfg.gpu) devices tenants; }
        // lib.optionalAttrs (cfg.gpu.hsaOverrideGfxVersion != null) { hsa_override_gfx_version = cfg.gpu.hsaOverrideGfxVersion; };
    })
    cfg.settings;

  # What differs from deploy/systemd, service by service; everything else is as it stands there.
  here = {
    keyd = { };
    stated = { };
    netd = { };
    runnerd = {
      # NixOS has no /usr: sandboxes are shown this one, whose links lead to the store (the package is built for that).
      BindReadOnlyPaths = "${cfg.tenantTree}:/usr";
    } // lib.optionalAttrs cfg.gpu.enable {
      PrivateDevices = "no";
      DeviceAllow = map (device: "${device} rw") cfg.gpu.devices;
      SupplementaryGroups = cfg.gpu.groups;
    };
  };
  service = daemon: {
    unitConfig = units.services."auspex-${daemon}".Unit;
    serviceConfig = units.services."auspex-${daemon}".Service // {
      ExecStart = "${cfg.package}/bin/auspex-${daemon} --system";
    } // here.${daemon};
  };
  seal =
    let
      store = "/etc/credstore.encrypted";
      new = "${store}/.auspex-keyd-seal.new";
      coreutils = "${pkgs.coreutils}/bin";
    in
    {
      unitConfig = units.services.auspex-seal.Unit;
      serviceConfig = units.services.auspex-seal.Service // {
        ExecStart = [
          "${pkgs.runtimeShell} -c 'set -e; ${coreutils}/head -c 32 /dev/urandom | ${pkgs.systemd}/bin/systemd-creds encrypt --name=auspex-keyd-seal - ${new}'"
          "${coreutils}/sync ${new}"
          "${coreutils}/mv -n ${new} ${store}/auspex-keyd-seal"
        ];
      };
    };

  separated = {
    users.groups = lib.genAttrs ([ "auspex" ] ++ map (daemon: "auspex-${daemon}") daemons) (_: { });
    users.users = lib.genAttrs (map (daemon: "auspex-${daemon}") daemons) (name: {
      isSystemUser = true;
      group = name;
      description = "Auspex";
    });
    environment.etc."auspex/worker.toml".source = (pkgs.formats.toml { }).generate "worker.toml" settings;
    systemd.tmpfiles.rules = units.tmpfiles;
    systemd.targets.auspex = {
      unitConfig = units.targets.auspex.Unit;
      wantedBy = [ "multi-user.target" ];
    };
    systemd.sockets = builtins.mapAttrs (_: unit: { unitConfig = unit.Unit; socketConfig = unit.Socket; }) units.sockets;
    systemd.services = {
      auspex-seal = seal;
    } // builtins.listToAttrs (map (daemon: { name = "auspex-${daemon}"; value = service daemon; }) daemons);
  };

  # Each person runs a worker of their own: auspex service install.
  ofPersons = {
    users.users = lib.genAttrs cfg.persons (_: { linger = true; });
  };

  coordinator = {
    users.groups.auspex-coordinator = { };
    users.users.auspex-coordinator = {
      isSystemUser = true;
      group = "auspex-coordinator";
      description = "Auspex coordinator";
    };
    networking.firewall.allowedTCPPorts = lib.optionals lab.openFirewall [ lab.port ];
    systemd.services.auspex-coordinator = {
      wantedBy = [ "multi-user.target" ];
      unitConfig = {
        Description = "Auspex coordinator of a lab";
        Wants = "network-online.target";
        After = "network-online.target";
        inherit (units.services.auspex-netd.Unit) StartLimitBurst StartLimitIntervalSec;
      };
      # As netd, the other program with a network, but that it listens on one port and says nothing to the service manager.
      serviceConfig = builtins.removeAttrs units.services.auspex-netd.Service [ "NotifyAccess" "WatchdogSec" "SocketBindDeny" ] // {
        Type = "exec";
        ExecStart = lib.concatStringsSep " " ([
          "${cfg.package}/bin/auspex-coordd"
          "--state /var/lib/auspex-coordinator"
          "--listen ${lab.address}:${toString lab.port}"
        ] ++ lib.optionals (lab.tlsCertificate != null) [
          "--allow-remote"
          "--tls-cert %d/tls-cert"
          "--tls-key %d/tls-key"
        ]);
        User = "auspex-coordinator";
        Group = "auspex-coordinator";
        StateDirectory = "auspex-coordinator";
        StateDirectoryMode = "0700";
        SocketBindAllow = "tcp:${toString lab.port}";
        # Allow lines are exceptions from it.
        SocketBindDeny = "any";
      } // lib.optionalAttrs (lab.tlsCertificate != null) {
        LoadCredential = [ "tls-cert:${lab.tlsCertificate}" "tls-key:${lab.tlsKey}" ];
      };
    };
  };
in
{
  options.services.auspex = {
    enable = mkEnableOption "the Auspex worker";
    package = mkOption {
      type = types.package;
      description = "The programs, built with AUSPEX_BWRAP=\${bubblewrap}/bin/bwrap and AUSPEX_SYSTEM_TREE=/nix/store.";
    };
    userSeparation = mkOption {
      type = types.bool;
      default = true;
      description = "One user a daemon, as services of the system. Without it persons run workers of their own (auspex service install).";
    };
    persons = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Without userSeparation: whose services go on when they have logged out.";
    };
    coordinator.url = mkOption {
      type = types.str;
      default = "https://coord.auspexai.network";
      description = "The coordinator to work for.";
    };
    profile = mkOption {
      type = types.enum [ "auto" "full" "inference" "lean" ];
      default = "auto";
      description = "The worker's flavour, as announced; auto announces none.";
    };
    slots = mkOption {
      type = types.ints.between 1 64;
      default = 1;
      description = "Units that run at the same time.";
    };
    tenantTree = mkOption {
      type = types.package;
      default = pkgs.buildEnv {
        name = "auspex-tenant-tree";
        paths = [ pkgs.bash pkgs.coreutils pkgs.python3 ];
        pathsToLink = [ "/bin" "/lib" "/share" ];
      };
      description = "What is /usr to tenants' programs.";
    };
    gpu = {
      enable = mkEnableOption "accelerators for the tenants that are named";
      devices = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Nodes below /dev that they get, such as /dev/kfd and /dev/dri/renderD128.";
      };
      tenants = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Who gets them; nobody else does.";
      };
      groups = mkOption {
        type = types.listOf types.str;
        default = [ "video" "render" ];
        description = "Groups that own those nodes.";
      };
      hsaOverrideGfxVersion = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10.3.0";
        description = "HSA_OVERRIDE_GFX_VERSION of the units of those tenants: what AMD's libraries are to take the accelerator for.";
      };
    };
    settings = mkOption {
      type = types.attrs;
      default = { };
      description = "Further settings of worker.toml (docs/CONFIGURATION.md); they win over the options here.";
    };
  };

  options.services.auspex-coordinator = {
    enable = mkEnableOption "a lab's coordinator";
    address = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = "Where it listens; beyond the loopback it needs tlsCertificate.";
    };
    port = mkOption {
      type = types.port;
      default = 8450;
      description = "Its port.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the host's firewall lets that port in.";
    };
    tlsCertificate = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "PEM file with the chain of certificates.";
    };
    tlsKey = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "PEM file with its key.";
    };
  };

  config = mkMerge [
    (mkIf cfg.enable {
      environment.systemPackages = [ cfg.package ];
      assertions = [
        {
          assertion = !cfg.gpu.enable || (cfg.gpu.devices != [ ] && cfg.gpu.tenants != [ ]);
          message = "services.auspex.gpu: devices and tenants must both be named";
        }
        {
          assertion = cfg.userSeparation || !cfg.gpu.enable;
          message = "services.auspex.gpu is for services of the system; without userSeparation it stands in each person's worker.toml";
        }
      ];
    })
    (mkIf (cfg.enable && cfg.userSeparation) separated)
    (mkIf (cfg.enable && !cfg.userSeparation) ofPersons)
    (mkIf lab.enable coordinator)
    (mkIf lab.enable {
      assertions = [
        {
          assertion = (lab.tlsCertificate == null) == (lab.tlsKey == null);
          message = "services.auspex-coordinator: tlsCertificate and tlsKey belong together";
        }
        {
          assertion = lab.address == "127.0.0.1" || lab.address == "[::1]" || lab.tlsCertificate != null;
          message = "services.auspex-coordinator: beyond the loopback it needs tlsCertificate";
        }
      ];
    })
  ];
}
