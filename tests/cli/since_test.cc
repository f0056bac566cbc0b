// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/since.h"

#include <gtest/gtest.h>

namespace auspex::cli {
namespace {

constexpr int64_t kMicros = 1'000'000;

TEST(SinceTest, TakesTheThreeForms) {
  EXPECT_EQ(ParseSince("2026-01-31"), 1769817600 * kMicros);
  EXPECT_EQ(ParseSince("2026-01-31T12:00:00"), 1769860800 * kMicros);
  EXPECT_EQ(ParseSince("2026-01-31T12:00:00Z"), 1769860800 * kMicros);
  EXPECT_EQ(ParseSince("2026-01-31T12:00:00+02:00"), 1769853600 * kMicros);
}

TEST(SinceTest, RefusesEverythingElse) {
  for (const char* text : {"", "yesterday", "2026-02-30", "2026-1-1", "2026-01-31T25:00:00",
                           "2026-01-31 ", "01/02/2026", "2026-01-31T12:00", "2026-01-31\n"}) {
    EXPECT_FALSE(ParseSince(text).has_value()) << text;
  }
}

TEST(SinceTest, ShowsWholeSeconds) {
  EXPECT_EQ(ShowTime(1769860800 * kMicros + 999'999), "2026-01-31T12:00:00Z");
  EXPECT_EQ(ShowTime(-1), "1969-12-31T23:59:59Z");
}

}  // namespace
}  // namespace auspex::cli
