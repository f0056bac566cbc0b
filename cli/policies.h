// SPDX-License-Identifier: AGPL-3.0-only
// Which execution policy holds for which tenant, as runnerd says or, when it does not run, as the
// configuration would have it. One thread.
#ifndef AUSPEX_CLI_POLICIES_H_
#define AUSPEX_CLI_POLICIES_H_

#include <map>
#include <string>

#include "cli/worker.h"

namespace auspex::cli {

// Words: "synthetic", "provisioned", "off".
struct Policies {
  std::string general;                         // for every tenant that is not named
  std::map<std::string, std::string> tenants;  // for those that are
  std::string announced;                       // what coordinators are told
  const std::string& For(const std::string& tenant) const;
};

Policies LookUpPolicies(Worker& worker, const Session& session);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_POLICIES_H_
