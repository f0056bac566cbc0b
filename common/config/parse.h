// SPDX-License-Identifier: AGPL-3.0-only
// Internal to common/config: from texts to a Config, so that the setter can check a text before it is put in place, and LiveConfig can
// look at texts before they count.
#ifndef AUSPEX_COMMON_CONFIG_PARSE_H_
#define AUSPEX_COMMON_CONFIG_PARSE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"

namespace auspex::config_internal {

// Largest configuration file, in octets.
inline constexpr size_t kMaxConfigOctets = 256 * 1024;

// Overwrites the members of `config` that `text` sets. Errors name `file`, the line and the key.
absl::Status ApplyToml(std::string_view text, const std::string& file, Config& config);

// The layout's files as they are now, in their order: a text, or why there is none.
std::vector<absl::StatusOr<std::string>> ReadTexts(const Layout& layout);
// LoadConfig's answer for those texts.
absl::StatusOr<Config> ParseTexts(const Layout& layout, const Environment& env,
                                  const std::vector<absl::StatusOr<std::string>>& texts);

}  // namespace auspex::config_internal

#endif  // AUSPEX_COMMON_CONFIG_PARSE_H_
