// SPDX-License-Identifier: AGPL-3.0-only
// The units by which a person's own service manager runs a worker: those of deploy/systemd with the differences of differences.h and the
// places of the worker at hand. Each file begins with a line that says who wrote it and what its rest hashes to, so that one that was
// changed since is recognised (unit_store.h). Pure, safe from any thread.
#ifndef AUSPEX_CLI_SERVICE_USER_UNITS_H_
#define AUSPEX_CLI_SERVICE_USER_UNITS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/paths/layout.h"

namespace auspex::cli {

struct UserUnit {
  std::string name;  // "auspex-keyd.service"
  std::string text;
};

inline constexpr std::string_view kTargetUnit = "auspex.target";

// Sorted by name. `find_program` gives the path of one of our programs ("auspex-keyd"). INVALID_ARGUMENT when a path cannot be said in a
// unit, its own errors from `find_program`, and INTERNAL when a setting of the system's units has no row in differences.cc.
absl::StatusOr<std::vector<UserUnit>> UserUnits(
    const Layout& layout, const Environment& env,
    const std::function<absl::StatusOr<std::string>(std::string_view)>& find_program);

// Whether `text` begins with our line, and whether its rest is what we wrote.
enum class Authorship { kOurs, kChanged, kForeign };
Authorship AuthorshipOf(std::string_view text);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_USER_UNITS_H_
