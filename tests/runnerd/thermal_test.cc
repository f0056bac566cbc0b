// SPDX-License-Identifier: AGPL-3.0-only
// The latch of the temperature.
#include "runnerd/thermal.h"

#include <gtest/gtest.h>

#include "common/base/cat.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

TEST(Thermal, Hysteresis) {
  ScratchFolder folder;
  const auto set = [&](const char* millidegrees) {
    folder.Write("thermal_zone1/temp", millidegrees);
  };
  set("50000\n");
  folder.Write("thermal_zone0/temp", "not a number");
  ThermalGovernor governor({70, 82, 68}, folder.path());
  EXPECT_TRUE(governor.has_sensor());
  const std::vector<std::pair<const char*, ThermalState>> steps = {
      {"69900", ThermalState::kOk},       {"70000", ThermalState::kWarm},
      {"81999", ThermalState::kWarm},     {"82000", ThermalState::kCritical},
      {"75000", ThermalState::kCritical}, {"68001", ThermalState::kCritical},
      {"68000", ThermalState::kOk},       {"75000", ThermalState::kWarm}};
  for (const auto& [temperature, state] : steps) {
    set(temperature);
    EXPECT_EQ(governor.Measure().state, state) << temperature;
    EXPECT_EQ(governor.Last().state, state);
  }
  EXPECT_EQ(governor.Last().zones, 1);
  ThermalGovernor none({70, 82, 68}, Cat(folder.path(), "/nothing"));
  EXPECT_FALSE(none.has_sensor());
  EXPECT_EQ(none.Measure().state, ThermalState::kOk);
}

}  // namespace
}  // namespace auspex::runnerd
