// SPDX-License-Identifier: AGPL-3.0-only
#include "common/cgroup/place.h"

#include <optional>
#include <vector>

#include "common/base/cat.h"
#include "common/cgroup/control_file.h"
#include "common/ids/ids.h"

namespace auspex {
namespace {

constexpr const char* kBootWithV2 =
    "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line";

// mountinfo writes blanks, tabs, line feeds and backslashes of paths as three octal digits.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

struct Mount {
  std::string root, place;
};

struct Mounts {
  std::vector<Mount> v2;
  bool v1 = false;
};

// Fields: id, parent, device, root, place, options, optional fields up to "-", type, source, ...
Mounts ParseMounts(std::string_view mountinfo) {
  Mounts mounts;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(line.size() + (line.size() < mountinfo.size() ? 1 : 0));
    const std::vector<std::string> words = Words(line);
    size_t dash = 6;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (dash + 1 >= words.size()) continue;
    if (words[dash + 1] == "cgroup2") mounts.v2.push_back({Unescape(words[3]), Unescape(words[4])});
    if (words[dash + 1] == "cgroup") mounts.v1 = true;
  }
  return mounts;
}

std::optional<std::string> OwnPath(std::string_view self_cgroup) {
  while (!self_cgroup.empty()) {
    const std::string_view line = self_cgroup.substr(0, self_cgroup.find('\n'));
    self_cgroup.remove_prefix(line.size() + (line.size() < self_cgroup.size() ? 1 : 0));
    if (line.starts_with("0::/")) return std::string(line.substr(3));
  }
  return std::nullopt;
}

std::string Join(const std::string& folder, std::string_view below) {
  if (below.empty() || below == "/") return folder;
  return folder == "/" ? std::string(below) : Cat(folder, below);
}

}  // namespace

absl::StatusOr<CgroupPlace> FindCgroupPlace(std::string_view self_cgroup,
                                            std::string_view mountinfo) {
  const std::optional<std::string> own = OwnPath(self_cgroup);
  const Mounts mounts = ParseMounts(mountinfo);
  if (!own) {
    return absl::FailedPreconditionError(
        mounts.v1 ? Cat("this host has cgroup v1 only: ", kBootWithV2)
                  : std::string("this kernel has no cgroups: it needs CONFIG_CGROUPS"));
  }
  if (mounts.v2.empty()) {
    return absl::FailedPreconditionError(
        mounts.v1 ? Cat("this host mounts cgroup v1 only: ", kBootWithV2)
                  : std::string("no cgroup v2 is mounted: run mount -t cgroup2 none "
                                "/sys/fs/cgroup, or start the container with its cgroups"));
  }
  for (const Mount& mount : mounts.v2) {
    // A path that leads out of the root that this namespace shows cannot be reached by it.
    if (Cat(*own, "/").find("/../") != std::string::npos) break;
    if (mount.root == "/") return CgroupPlace{mount.place, Join(mount.place, *own)};
    if (*own == mount.root || own->starts_with(Cat(mount.root, "/")))
      return CgroupPlace{mount.place, Join(mount.place, own->substr(mount.root.size()))};
  }
  return absl::FailedPreconditionError(
      Cat("runnerd's cgroup ", Printable(*own, 512),
          " is not in the part of the hierarchy that is mounted here: start the container with a "
          "cgroup namespace of its own"));
}

}  // namespace auspex
