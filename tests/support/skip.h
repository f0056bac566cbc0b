// SPDX-License-Identifier: AGPL-3.0-only
// The only way in which a test may not run: say loudly what the host lacks, and fail under AUSPEX_REQUIRE_FULL=1.
#ifndef AUSPEX_TESTS_SUPPORT_SKIP_H_
#define AUSPEX_TESTS_SUPPORT_SKIP_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#define AUSPEX_SKIP_UNLESS(condition, what_is_missing)                                \
  do {                                                                                \
    if (!(condition)) {                                                               \
      const char* full = std::getenv("AUSPEX_REQUIRE_FULL");                          \
      if (full != nullptr && std::strcmp(full, "1") == 0) {                           \
        FAIL() << "AUSPEX_REQUIRE_FULL=1 and this host lacks: " << (what_is_missing); \
      }                                                                               \
      GTEST_SKIP() << "NOT RUN, this host lacks: " << (what_is_missing);              \
    }                                                                                 \
  } while (false)

#endif  // AUSPEX_TESTS_SUPPORT_SKIP_H_
