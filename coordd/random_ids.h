// SPDX-License-Identifier: AGPL-3.0-only
// Makes the coordinator's identifiers and tokens from the kernel's randomness (libsodium). Safe
// from any thread.
#ifndef AUSPEX_COORDD_RANDOM_IDS_H_
#define AUSPEX_COORDD_RANDOM_IDS_H_

#include <string>
#include <string_view>

namespace auspex::coordd {

// `prefix` + 12 URL-safe base64 characters (72 random bits): "wkr-", "asg-", "res-", "rcpt-",
// "acct-", "att-".
std::string MakeId(std::string_view prefix);
// "exp-" + 8 characters.
std::string MakeExperimentId();
// 32 random octets as 43 URL-safe base64 characters.
std::string MakeToken();

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_RANDOM_IDS_H_
