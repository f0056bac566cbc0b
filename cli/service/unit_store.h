// SPDX-License-Identifier: AGPL-3.0-only
// UnitStore: the folder of a person's own units (~/.config/systemd/user), of which this writes and removes only files that it wrote itself.
// A file of ours that somebody changed, and one of the same name that is not ours, are left alone unless told otherwise. One thread.
#ifndef AUSPEX_CLI_SERVICE_UNIT_STORE_H_
#define AUSPEX_CLI_SERVICE_UNIT_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/service/user_units.h"

namespace auspex::cli {

class UnitStore {
 public:
  // $XDG_CONFIG_HOME/systemd/user, else $HOME/.config/systemd/user; empty when neither is known.
  static std::string FolderOf(const Environment& env);
  explicit UnitStore(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }

  // What stands where `unit` is to be written.
  enum class Standing { kMissing, kSame, kOlder, kChanged };
  Standing StandingOf(const UserUnit& unit) const;
  // Names of the files that carry our line, sorted: whole ones, and those that were changed since.
  struct Found {
    std::vector<std::string> whole, changed;
  };
  Found Ours() const;

  // Writes `unit`, making the folder when it is missing.
  absl::Status Write(const UserUnit& unit) const;
  absl::Status Remove(const std::string& name) const;

 private:
  std::string folder_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_UNIT_STORE_H_
