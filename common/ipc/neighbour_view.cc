// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/neighbour_view.h"

#include <dirent.h>

#include <array>
#include <memory>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ipc/role_key.h"

namespace auspex {
namespace {

// The roles of the two daemons that others call, by name: see "Processes and sockets" in
// docs/ARCHITECTURE.md.
constexpr std::array<std::string_view, 3> kOfKeyd = {"request", "result", "owner"};
constexpr std::array<std::string_view, 3> kOfStated = {"net", "run", "owner"};

}  // namespace

absl::Status ShowNeighbour(const Layout& layout, std::string_view daemon, std::string_view own,
                           ViewRules& rules) {
  for (const std::string_view role : daemon == "keyd" ? kOfKeyd : kOfStated) {
    // Of the other roles only what is to be covered: their keys are none of this process's business.
    const std::string socket = layout.Socket(daemon, role);
    RETURN_IF_ERROR(role == own ? EnsureRoleKey(socket).status() : EnsureRoleFolder(socket));
  }
  const std::string folder = layout.RunDir(daemon);
  rules.read_only.push_back(folder);
  // By what is there and not by the list, so that a role that the list forgot is covered too.
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  while (entries != nullptr) {
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name.ends_with(".role") && name != Cat(own, ".role"))
      rules.covered.push_back(Cat(folder, "/", name));
  }
  return absl::OkStatus();
}

}  // namespace auspex
