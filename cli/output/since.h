// SPDX-License-Identifier: AGPL-3.0-only
// The times that --since takes. Pure functions, safe from any thread.
#ifndef AUSPEX_CLI_OUTPUT_SINCE_H_
#define AUSPEX_CLI_OUTPUT_SINCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auspex::cli {

// "YYYY-MM-DD" (midnight), "YYYY-MM-DDTHH:MM:SS" (both UTC), or the latter with a zone ("Z",
// "+02:00"), as microseconds since 1970 UTC; nullopt for anything else.
std::optional<int64_t> ParseSince(std::string_view untrusted_text);

// `unix_micros` as "2026-01-31T12:00:00Z": whole seconds, the form in which times are shown.
std::string ShowTime(int64_t unix_micros);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_OUTPUT_SINCE_H_
