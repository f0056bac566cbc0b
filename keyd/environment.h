// SPDX-License-Identifier: AGPL-3.0-only
// What keyd takes from its environment: where its files are and how the service manager talks to it. Nothing else stays, so that
// no library (gRPC has a dozen switches, the allocator some) can be made to log what passes or to behave otherwise. Before any
// thread.
#ifndef AUSPEX_KEYD_ENVIRONMENT_H_
#define AUSPEX_KEYD_ENVIRONMENT_H_

#include <string_view>

#include "absl/status/status.h"

namespace auspex::keyd {

// FAILED_PRECONDITION naming the variable when the loader was told to put foreign code into this process. An honest mistake is
// what this finds: code that was loaded so could have removed the variable, and who sets keyd's environment starts keyd.
absl::Status RefuseLoadedCode();

// Whether keyd keeps the variable `name`.
bool IsKept(std::string_view name);
// Removes every variable that is not kept.
void CleanEnvironment();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_ENVIRONMENT_H_
