// SPDX-License-Identifier: AGPL-3.0-only
// The limits of one unit by the owner's settings, in words for the owner. Pure, any thread.
#ifndef AUSPEX_RUNNERD_LIMITS_SHOWN_H_
#define AUSPEX_RUNNERD_LIMITS_SHOWN_H_

#include <string>
#include <vector>

#include "common/config/config.h"

namespace auspex::runnerd {

struct LimitInWords {
  std::string name;
  std::string value;  // with its unit; "none": no such limit
};
std::vector<LimitInWords> LimitsInWords(const Config& config);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_LIMITS_SHOWN_H_
