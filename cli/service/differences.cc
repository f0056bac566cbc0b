// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/differences.h"

#include <iterator>

namespace auspex::cli {
namespace {

constexpr char kOneUser[] = "a person's manager has one user";
// systemd 252 goes on without a word where these need a mount namespace that it may not make.
constexpr char kMounts[] =
    "needs a mount namespace of the service's own, which a person's manager makes only inside a "
    "user namespace (PrivateUsers=)";
constexpr char kCapabilities[] =
    "needs a capability; a person's process has none, and without new privileges it gets none";
constexpr char kBpf[] = "needs BPF programs on the cgroup, which only the system's manager loads";

constexpr Difference kDifferences[] = {
    {"", "Description"},
    {"", "Documentation"},
    {"", "Requires", Fate::kOurUnits},
    {"", "Wants", Fate::kOurUnits},
    {"", "After", Fate::kOurUnits},
    {"", "PartOf"},
    {"", "StartLimitIntervalSec"},
    {"", "StartLimitBurst"},
    {"", "WantedBy", Fate::kReplaced, "default.target", "what a person's manager starts with"},

    {"", "ListenStream", Fate::kPlace},
    {"", "FileDescriptorName"},
    {"", "Service"},
    {"", "SocketUser", Fate::kLeftOut, "", kOneUser},
    {"", "SocketGroup", Fate::kLeftOut, "", kOneUser},
    {"", "SocketMode", Fate::kReplaced, "0600",
     "All daemons have one user: which of them is let in is decided by the key of the role."},
    {"", "DirectoryMode", Fate::kReplaced, "0700", "It is the person's own."},
    {"", "Backlog"},
    {"", "RemoveOnStop"},

    {"", "Type"},
    {"", "NotifyAccess"},
    {"", "ExecStart", Fate::kPlace},
    {"", "User", Fate::kLeftOut, "", kOneUser},
    {"", "Group", Fate::kLeftOut, "", kOneUser},
    {"", "StateDirectory", Fate::kLeftOut, "",
     "below ~/.config in a person's manager before systemd 254; the daemon makes its own"},
    {"", "StateDirectoryMode", Fate::kLeftOut, "", "see StateDirectory="},
    {"", "LoadCredentialEncrypted", Fate::kLeftOut, "",
     "a person's manager of systemd 252 has no key to decrypt credentials with"},
    {"", "Delegate", Fate::kReplaced, "yes",
     "All controllers that this manager itself was given; Debian's has no io."},
    {"", "KillMode"},
    {"", "Restart"},
    {"", "RestartSec"},
    {"", "RestartPreventExitStatus"},
    {"", "WatchdogSec"},
    {"", "TimeoutStartSec"},
    {"", "TimeoutStopSec"},
    {"", "MemoryMax"},
    {"", "MemorySwapMax"},
    {"", "TasksMax"},
    {"", "LimitNOFILE"},
    {"", "LimitCORE"},
    {"", "CPUWeight"},
    {"", "IOWeight", Fate::kLeftOut, "", "Debian hands no io controller to a person's manager"},
    {"", "OOMPolicy"},
    {"", "OOMScoreAdjust", Fate::kLeftOut, "", kCapabilities},

    {"", "NoNewPrivileges"},
    {"", "LockPersonality"},
    {"", "RestrictRealtime"},
    {"", "RestrictSUIDSGID"},
    {"", "KeyringMode"},
    {"", "UMask"},
    {"", "SystemCallArchitectures"},
    {"", "SystemCallErrorNumber"},
    {"", "SystemCallFilter"},
    {"", "RestrictAddressFamilies"},
    {"", "RestrictNamespaces"},
    {"", "MemoryDenyWriteExecute"},
    {"auspex-netd.service", "RestrictNamespaces", Fate::kReplaced, "no",
     "Where all daemons have one user, netd goes into a view of its own, made of namespaces."},
    {"auspex-netd.service", "SystemCallFilter", Fate::kAdded, "@mount capset",
     "What builds that view."},
    {"", "PrivateUsers", Fate::kReplaced, "no",
     "Not yes: every process of this person would have all capabilities over that user namespace, "
     "and could look into keyd."},

    {"", "CapabilityBoundingSet", Fate::kLeftOut, "", kCapabilities},
    {"", "AmbientCapabilities", Fate::kLeftOut, "", kCapabilities},
    {"", "ProtectSystem", Fate::kLeftOut, "", kMounts},
    {"", "ProtectHome", Fate::kLeftOut, "", kMounts},
    {"", "PrivateTmp", Fate::kLeftOut, "", kMounts},
    {"", "PrivateMounts", Fate::kLeftOut, "", kMounts},
    {"", "PrivateDevices", Fate::kLeftOut, "", kMounts},
    {"", "InaccessiblePaths", Fate::kLeftOut, "", kMounts},
    {"", "ProtectProc", Fate::kLeftOut, "", kMounts},
    {"", "ProcSubset", Fate::kLeftOut, "", kMounts},
    {"", "ProtectKernelTunables", Fate::kLeftOut, "", kMounts},
    {"", "ProtectKernelLogs", Fate::kLeftOut, "", kMounts},
    {"", "ProtectControlGroups", Fate::kLeftOut, "", kMounts},
    {"", "ProtectKernelModules", Fate::kLeftOut, "", kCapabilities},
    {"", "ProtectClock", Fate::kLeftOut, "", kCapabilities},
    {"", "ProtectHostname", Fate::kLeftOut, "", kCapabilities},
    {"", "PrivateNetwork", Fate::kLeftOut, "", kCapabilities},
    {"", "RemoveIPC", Fate::kLeftOut, "", "would remove what the person's other programs share"},
    {"", "DevicePolicy", Fate::kLeftOut, "", kBpf},
    {"", "IPAddressDeny", Fate::kLeftOut, "", kBpf},
    {"", "SocketBindDeny", Fate::kLeftOut, "", kBpf},
};

}  // namespace

const Difference* DifferenceFor(std::string_view unit, std::string_view key) {
  const Difference* found = nullptr;
  for (const Difference& row : kDifferences) {
    if (row.key != key) continue;
    if (row.unit == unit) return &row;
    if (row.unit.empty()) found = &row;
  }
  return found;
}

}  // namespace auspex::cli
