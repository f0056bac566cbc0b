// SPDX-License-Identifier: AGPL-3.0-only
// Everything that a hostile tenant would try first, each with what came of it.
#ifndef AUSPEX_TESTS_RUNNERD_TENANT_ATTEMPTS_H_
#define AUSPEX_TESTS_RUNNERD_TENANT_ATTEMPTS_H_

#include <string>

// An output file whose payload maps the attempt's name to "WORKED" or "errno N", and some
// surroundings to text. `host_secret`: a path of the host that must not be there.
std::string AttemptEverything(const char* host_secret);

#endif  // AUSPEX_TESTS_RUNNERD_TENANT_ATTEMPTS_H_
