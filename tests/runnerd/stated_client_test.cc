// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/stated_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <future>

#include "common/base/unique_fd.h"
#include "common/ipc/channel.h"
#include "tests/runnerd/fixture.h"

namespace auspex::runnerd {
namespace {

// A stated that takes connections and never says a word: a report is under way until something ends
// it. What did is seen by the code: its own time would end it with DEADLINE_EXCEEDED.
TEST(StatedClient, NoReportIsWaitedForOnceTheyHaveEnded) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/run.sock";
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);

  StatedClient client(ConnectTo(path));
  auto under_way = std::async(std::launch::async, [&] { return client.ReportCapabilities("{}"); });
  const UniqueFd connected(accept(listener.get(), nullptr, nullptr));
  client.EndReports();
  EXPECT_EQ(under_way.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client.ReportCondition({}).code(), absl::StatusCode::kCancelled) << "a later one";
}

}  // namespace
}  // namespace auspex::runnerd
