// SPDX-License-Identifier: AGPL-3.0-only
// TestPace: how many times longer than on a host work may take here, 1 unless AUSPEX_TEST_PACE says otherwise. The machine of `./dev vm`
// sets it when its processor is translated. For a patience or a limit that a test means to stay clear of, never for one that it
// means to reach. TestInterval: how long to wait until one asks again, so that where work takes longer asking does not take all of the time.
#ifndef AUSPEX_TESTS_SUPPORT_PACE_H_
#define AUSPEX_TESTS_SUPPORT_PACE_H_

#include <algorithm>
#include <cstdlib>

namespace auspex {

inline double TestPace() {
  const char* text = std::getenv("AUSPEX_TEST_PACE");
  return text == nullptr ? 1 : std::clamp(std::strtod(text, nullptr), 1.0, 100.0);
}

inline double TestInterval(double seconds) { return seconds * TestPace(); }

}  // namespace auspex

#endif  // AUSPEX_TESTS_SUPPORT_PACE_H_
