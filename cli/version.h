// SPDX-License-Identifier: AGPL-3.0-only
#ifndef AUSPEX_CLI_VERSION_H_
#define AUSPEX_CLI_VERSION_H_

namespace auspex::cli {

// The version of this build, from the build files.
inline constexpr char kVersion[] = AUSPEX_VERSION;

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERSION_H_
