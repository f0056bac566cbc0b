// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/unit_store.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/files/files.h"

namespace auspex::cli {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxUnitOctets = 256 * 1024;

}  // namespace

std::string UnitStore::FolderOf(const Environment& env) {
  const std::string config = env("XDG_CONFIG_HOME").value_or("");
  if (!config.empty() && config[0] == '/') return config + "/systemd/user";
  const std::string home = env("HOME").value_or("");
  return home.empty() ? "" : home + "/.config/systemd/user";
}

UnitStore::Standing UnitStore::StandingOf(const UserUnit& unit) const {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(PathOf(unit.name), error);
  if (status.type() == fs::file_type::not_found) return Standing::kMissing;
  // A link (a masked unit is one) and what cannot be read are not ours.
  const absl::StatusOr<std::string> text = ReadFile(PathOf(unit.name), kMaxUnitOctets);
  if (!text.ok()) return Standing::kChanged;
  if (*text == unit.text) return Standing::kSame;
  return AuthorshipOf(*text) == Authorship::kOurs ? Standing::kOlder : Standing::kChanged;
}

UnitStore::Found UnitStore::Ours() const {
  Found found;
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with("auspex")) continue;
    const absl::StatusOr<std::string> text = ReadFile(at->path().string(), kMaxUnitOctets);
    if (!text.ok()) continue;
    const Authorship authorship = AuthorshipOf(*text);
    if (authorship == Authorship::kOurs) found.whole.push_back(name);
    if (authorship == Authorship::kChanged) found.changed.push_back(name);
  }
  std::sort(found.whole.begin(), found.whole.end());
  std::sort(found.changed.begin(), found.changed.end());
  return found;
}

absl::Status UnitStore::Write(const UserUnit& unit) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return ErrnoStatus(error.value(), "make", folder_);
  return WriteFileAtomically(PathOf(unit.name), unit.text, 0644);
}

absl::Status UnitStore::Remove(const std::string& name) const {
  if (::unlink(PathOf(name).c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, "remove", PathOf(name));
  return absl::OkStatus();
}

}  // namespace auspex::cli
