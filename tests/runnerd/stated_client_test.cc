// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/stated_client.h"

#include <gtest/gtest.h>

#include <future>

#include "common/ipc/channel.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

// A report waits for a stated that is away. What ends first is seen by the code: its own time would
// end it with DEADLINE_EXCEEDED.
TEST(StatedClient, NoReportIsWaitedForOnceTheyHaveEnded) {
  ScratchFolder folder;
  StatedClient client(ConnectTo(folder.path() + "/nobody.sock"));
  auto under_way = std::async(std::launch::async, [&] { return client.ReportCapabilities("{}"); });
  auto another = std::async(std::launch::async, [&] { return client.ReportCondition({}); });
  client.EndReports();
  EXPECT_EQ(under_way.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(another.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client.ReportCondition({}).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace auspex::runnerd
