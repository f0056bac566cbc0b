// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/stated_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <future>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/unique_fd.h"
#include "common/ipc/channel.h"
#include "common/ipc/role_server.h"
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

// A stated that cannot write for a while, and takes every call after `troubles` of them.
class Troubled final : public stated::v1::Work::Service {
 public:
  grpc::Status BeginUnit(grpc::ServerContext*, const stated::v1::BeginUnitRequest*,
                         stated::v1::BeginUnitResponse*) override {
    return Answer();
  }
  grpc::Status RefuseUnit(grpc::ServerContext*, const stated::v1::RefuseUnitRequest*,
                          stated::v1::RefuseUnitResponse*) override {
    return Answer();
  }
  grpc::Status CompleteUnit(grpc::ServerContext*, const stated::v1::CompleteUnitRequest*,
                            stated::v1::CompleteUnitResponse*) override {
    return Answer();
  }
  int troubles = 0;

 private:
  grpc::Status Answer() {
    if (--troubles < 0) return grpc::Status::OK;
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full");
  }
};

// A result may be refused in its place; of a begin and of a refusal stated must hear.
TEST(StatedClient, OnlyAResultIsGivenUpWhenStatedCannotWrite) {
  ScratchFolder folder;
  const std::string path = folder.path() + "/run.sock";
  Troubled stated;
  RoleServer::Options options;
  options.role = "stated/run";
  options.socket_path = path;
  options.allow = PeerRule::Self();
  const auto server = RoleServer::Start(options, {&stated});
  ASSERT_TRUE(server.ok()) << server.status();
  StatedClient client(ConnectTo(path), /*trouble_seconds=*/0.1);
  const Unit unit{*AssignmentId::Parse("asg-a"),
                  *UnitId::Parse("a"),
                  *TenantId::Parse("test-lab"),
                  *ExperimentLabel::Parse("some-experiment"),
                  *Sha256Hex::Parse(std::string(64, 'a')),
                  "2026-07-19T12:00:00Z",
                  "{}",
                  false,
                  {}};
  // Pauses double from 20 ms: a tenth of a second is over with the third.
  constexpr int kManyTroubles = 5;
  RunControl control;
  stated.troubles = kManyTroubles;
  EXPECT_TRUE(client.Begin(unit, control).ok());
  stated.troubles = kManyTroubles;
  EXPECT_TRUE(client.Refuse(unit, {RefusalKind::kRunnerFailed, "why"}, control).ok());
  stated.troubles = kManyTroubles;
  EXPECT_EQ(client.Complete(unit, SignedResult(), control).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace auspex::runnerd
