// SPDX-License-Identifier: AGPL-3.0-only
// What stated is told, and in which order.
#include "runnerd/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

// What the capabilities said when units were first told to wait for the heat, which rose just after
// the condition had been looked at for the `before`-th time.
std::string CapabilitiesWhenHot(int before) {
  ScratchFolder folder;
  folder.Write("thermal_zone0/temp", "40000");
  ThermalGovernor thermal({70, 82, 68}, folder.path());
  thermal.Measure();
  std::mutex mutex;
  std::condition_variable changed;
  int looks = 0;
  std::string capabilities, when_hot;
  Monitor monitor({
      .thermal = thermal,
      .load_config = [] { return Config(); },
      .report =
          [&](const std::string& json) {
            const std::lock_guard lock(mutex);
            capabilities = json;
            return absl::OkStatus();
          },
      .condition =
          [&](const Config&) {
            Condition condition;
            if (thermal.Last().state == ThermalState::kCritical) condition.strain = "hot";
            const std::lock_guard lock(mutex);
            if (++looks == before) {
              folder.Write("thermal_zone0/temp", "90000");
              thermal.Measure();
            }
            return condition;
          },
      .report_condition =
          [&](const Condition& condition) {
            const std::lock_guard lock(mutex);
            if (condition.strain == "hot" && when_hot.empty()) when_hot = capabilities;
            changed.notify_all();
            return absl::OkStatus();
          },
      .host_root = "",
      .worker_version = "0",
  });
  monitor.Start();
  std::unique_lock lock(mutex);
  for (int tries = 0; when_hot.empty() && tries < 1500; ++tries) {
    lock.unlock();
    monitor.LookAgain();
    lock.lock();
    changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return !when_hot.empty(); });
  }
  lock.unlock();
  monitor.Stop();
  return when_hot;
}

// Else the coordinator would be told that units wait, and for up to 5 s that nothing is hot.
TEST(Monitor, NoHeatIsAConditionBeforeItIsACapability) {
  for (int before = 1; before <= 8; ++before)
    EXPECT_THAT(CapabilitiesWhenHot(before), HasSubstr("\"state\":\"critical\"")) << before;
}

}  // namespace
}  // namespace auspex::runnerd
