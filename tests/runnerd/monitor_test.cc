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

// The heat rises just after a look at the condition, which is when it must not be told yet: the
// coordinator would be told that units wait, and for up to 5 s that nothing is hot.
TEST(Monitor, NoHeatIsAConditionBeforeItIsACapability) {
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
            if (++looks == 2) {
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
  EXPECT_THAT(when_hot, HasSubstr("\"state\":\"critical\"")) << looks << " looks";
  lock.unlock();
  monitor.Stop();
}

}  // namespace
}  // namespace auspex::runnerd
