// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/grid.h"

#include <gtest/gtest.h>

#include <set>

namespace auspex::cli::lab {
namespace {

TEST(GridTest, EveryCountGivesDistinctPointsInRange) {
  for (int count : {1, 2, 3, 7, 24, 100, 2000}) {
    std::set<std::pair<double, int64_t>> points;
    std::set<std::string> ids;
    for (const LabUnit& unit : MakeUnits(count)) {
      EXPECT_GE(unit.epsilon, 0);
      EXPECT_LE(unit.epsilon, 0.3);
      points.insert({unit.epsilon, unit.seed});
      ids.insert(unit.unit_id);
    }
    EXPECT_EQ(points.size(), static_cast<size_t>(count));
    EXPECT_EQ(ids.size(), static_cast<size_t>(count));
  }
}

TEST(GridTest, ReachesBothEnds) {
  const std::vector<LabUnit> units = MakeUnits(24);
  EXPECT_EQ(units.front().epsilon, 0.0);
  EXPECT_EQ(units[7].epsilon, 0.3);
  EXPECT_EQ(units[8].seed, 1);
}

TEST(GridTest, GathersByEpsilon) {
  const std::vector<CurvePoint> curve = Gather({{0.1, 0.5, 0.9}, {0.0, 1.0, 1.0}, {0.1, 0.7, 0.8}});
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0].epsilon, 0.0);
  EXPECT_EQ(curve[1].units, 2);
  EXPECT_DOUBLE_EQ(curve[1].mean, 0.6);
  EXPECT_DOUBLE_EQ(curve[1].lowest, 0.5);
  EXPECT_DOUBLE_EQ(curve[1].highest, 0.7);
  EXPECT_NEAR(curve[1].noise_mean, 0.85, 1e-12);
}

TEST(GridTest, RefusesPayloadsThatAreNoMeasurement) {
  EXPECT_TRUE(
      ReadMeasured(JsonObject{{"epsilon", 0}, {"accuracy", 0.5}, {"noise_accuracy", 1}}).ok());
  EXPECT_FALSE(ReadMeasured(JsonObject{{"epsilon", 0.1}, {"accuracy", 0.5}}).ok());
  EXPECT_FALSE(
      ReadMeasured(JsonObject{{"epsilon", 0.1}, {"accuracy", 1.5}, {"noise_accuracy", 1.0}}).ok());
  EXPECT_FALSE(ReadMeasured(JsonValue()).ok());
}

}  // namespace
}  // namespace auspex::cli::lab
