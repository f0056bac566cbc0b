// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace auspex::cli::lab {
namespace {

TEST(ProgressTest, BarFollowsTheUnits) {
  LabProgress progress{.units = 24, .done = 12, .agreed = 12, .running = 4, .results = 26};
  const std::string line = ProgressLine(progress, 2.0, 120, false);
  EXPECT_THAT(line, ::testing::StartsWith("[###############...............]"));
  EXPECT_THAT(line, ::testing::HasSubstr("12/24 units"));
  EXPECT_THAT(line, ::testing::HasSubstr("6.0 units/s"));
}

TEST(ProgressTest, FitsEveryTerminal) {
  const LabProgress progress{
      .units = 2000, .done = 1999, .agreed = 1999, .running = 128, .results = 31999};
  for (int width : {20, 40, 60, 80, 200}) {
    EXPECT_LT(ProgressLine(progress, 60, width, false).size(), static_cast<size_t>(width)) << width;
  }
}

TEST(ProgressTest, NothingYet) {
  EXPECT_THAT(ProgressLine({}, 0, 80, false), ::testing::HasSubstr("0/0 units"));
}

}  // namespace
}  // namespace auspex::cli::lab
