// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace auspex::cli::lab {
namespace {

const std::vector<PlotPoint> kFalling = {{0.0, 1.0, 1.0}, {0.15, 0.5, 0.95}, {0.3, 0.0, 0.8}};

size_t Columns(const std::string& row) {
  size_t columns = 0;
  for (char c : row) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return columns;
}

TEST(PlotTest, NoPointsNoRows) { EXPECT_TRUE(DrawPlot({}, {}).empty()); }

TEST(PlotTest, FitsItsWidth) {
  for (bool utf8 : {false, true}) {
    for (int width : {1, 24, 40, 80, 100, 500}) {
      const std::vector<std::string> rows =
          DrawPlot(kFalling, {.width = width, .height = 8, .utf8 = utf8});
      ASSERT_EQ(rows.size(), 10u);
      for (const std::string& row : rows) {
        EXPECT_LE(Columns(row), static_cast<size_t>(std::min(std::max(width, 24), 100))) << row;
      }
    }
  }
}

TEST(PlotTest, AsciiIsAscii) {
  for (const std::string& row : DrawPlot(kFalling, {.width = 60})) {
    for (char c : row) EXPECT_TRUE(c >= ' ' && c <= '~');
  }
}

TEST(PlotTest, FallingCurveFallsFromLeftToRight) {
  const std::vector<std::string> rows = DrawPlot(kFalling, {.width = 60, .height = 10});
  // The longer run of '#' is further down.
  size_t last = 0;
  for (size_t row = 0; row < 10; ++row) {
    const size_t blocks = static_cast<size_t>(std::count(rows[row].begin(), rows[row].end(), '#'));
    EXPECT_GE(blocks, last);
    last = blocks;
  }
  EXPECT_GT(last, 40u);
  EXPECT_THAT(rows.front(), ::testing::StartsWith("100 %|"));
  EXPECT_THAT(rows.back(), ::testing::HasSubstr("0.00"));
  EXPECT_THAT(rows.back(), ::testing::HasSubstr("0.30"));
}

TEST(PlotTest, OnePointIsALevel) {
  const std::vector<std::string> rows = DrawPlot({{0.1, 0.5, 0.5}}, {.width = 40, .height = 4});
  EXPECT_EQ(rows.size(), 6u);
  EXPECT_THAT(rows[3], ::testing::HasSubstr("####"));
}

}  // namespace
}  // namespace auspex::cli::lab
