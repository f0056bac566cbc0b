// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/role_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <grp.h>

#include <cstring>

#include "auspex/runnerd/v1/runnerd.grpc.pb.h"
#include "common/ipc/channel.h"
#include "tests/common/platform/temp_folder.h"
#include "tests/support/skip.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;

// A small real service: it answers with who called.
class WhoService final : public runnerd::v1::Sandboxes::Service {
 public:
  grpc::Status Abort(grpc::ServerContext* context, const runnerd::v1::AbortRequest*,
                     runnerd::v1::AbortResponse* response) override {
    response->set_outcome(std::to_string(server->PeerOfCall(*context).pid));
    return grpc::Status::OK;
  }
  RoleServer* server = nullptr;
};

class RoleServerTest : public ::testing::Test {
 protected:
  void Start(PeerRule rule) {
    auto started = RoleServer::Start({.role = "test/owner", .socket_path = socket_, .allow = rule, .max_connections = 3}, {&service_});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    service_.server = server_.get();
  }
  grpc::Status Call(std::string* outcome) {
    auto stub = runnerd::v1::Sandboxes::NewStub(ConnectTo(socket_));
    grpc::ClientContext context;
    SetDeadline(context, 5);
    runnerd::v1::AbortResponse response;
    const grpc::Status status = stub->Abort(&context, {}, &response);
    *outcome = response.outcome();
    return status;
  }
  // A raw connection; -1 when refused.
  int Connect() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_.c_str());
    return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? fd : -1;
  }
  // True when the server closes the connection without a word.
  static bool ClosedSilently(int fd) {
    char octet;
    return ::recv(fd, &octet, 1, 0) <= 0;
  }

  TempFolder folder_;
  std::string socket_ = folder_ / "owner.sock";
  WhoService service_;
  std::unique_ptr<RoleServer> server_;
};

TEST_F(RoleServerTest, ServesAndTellsThePeer) {
  Start(PeerRule::Self());
  std::string outcome;
  const grpc::Status status = Call(&outcome);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(outcome, std::to_string(::getpid()));
}

TEST_F(RoleServerTest, WrongUserIsRefusedBeforeAnyOctet) {
  Start(PeerRule{{::geteuid() + 1}, {}});
  const int fd = Connect();
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(ClosedSilently(fd)) << "HTTP/2 settings were sent to a stranger";
  ::close(fd);
  std::string outcome;
  EXPECT_FALSE(Call(&outcome).ok());
}

// The groups come from the kernel: a user that the database does not know is let in by a supplementary group alone.
TEST_F(RoleServerTest, AMemberOfTheGroupIsLetInByTheKernelsWord) {
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "only root can take another identity");
  constexpr gid_t kGroup = 4242, kOther = 4343;
  constexpr uid_t kUser = 54321;
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0711), 0);
  Start(PeerRule{{}, {kGroup}});
  for (const bool member : {true, false}) {
    // Connects as the user, with a full set of groups beside the one that counts; exits 0 when the server's settings arrive.
    const pid_t child = ::fork();
    if (child == 0) {
      std::vector<gid_t> groups(40, kOther);
      if (member) groups.push_back(kGroup);
      if (::setgroups(groups.size(), groups.data()) != 0 || ::setresgid(kUser, kUser, kUser) != 0) ::_exit(3);
      if (!member && ::chmod(socket_.c_str(), 0666) != 0) ::_exit(4);
      if (::setresuid(kUser, kUser, kUser) != 0) ::_exit(5);
      const int fd = Connect();
      if (fd < 0) ::_exit(6);
      ::_exit(ClosedSilently(fd) ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), member ? 0 : 1);
  }
}

TEST_F(RoleServerTest, SocketIsPrivateAndGoneAfterShutdown) {
  Start(PeerRule::Self());
  struct stat info {};
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  server_->Shutdown();
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0);
}

TEST_F(RoleServerTest, ALiveSocketIsNotTakenOver) {
  Start(PeerRule::Self());
  auto second = RoleServer::Start({.role = "test/owner", .socket_path = socket_, .allow = PeerRule::Self()}, {});
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("is served by process"));
}

TEST_F(RoleServerTest, AStaleSocketIsReplaced) {
  {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_.c_str());
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);
  }
  Start(PeerRule::Self());
  std::string outcome;
  EXPECT_TRUE(Call(&outcome).ok());
}

TEST_F(RoleServerTest, ConnectionsAreBoundedAndFreedAgain) {
  Start(PeerRule::Self());
  // Each keeps its connection open; the fourth is closed at accept.
  int fds[3];
  for (int& fd : fds) {
    fd = Connect();
    ASSERT_GE(fd, 0);
    EXPECT_FALSE(ClosedSilently(fd)) << "the server's settings should arrive";
  }
  const int fourth = Connect();
  ASSERT_GE(fourth, 0);
  EXPECT_TRUE(ClosedSilently(fourth));
  ::close(fourth);
  for (const int fd : fds) ::close(fd);
  std::string outcome;
  grpc::Status status;
  // gRPC closes its side when it has seen ours closed, which is soon but not at once.
  for (int i = 0; i < 100 && !(status = Call(&outcome)).ok(); ++i) ::usleep(20000);
  EXPECT_TRUE(Call(&outcome).ok());
}

TEST_F(RoleServerTest, HealthServiceAnswersNothingElseDoes) {
  Start(PeerRule::Self());
  auto channel = ConnectTo(socket_);
  grpc::ClientContext context;
  SetDeadline(context, 5);
  auto stub = runnerd::v1::Sandboxes::NewStub(channel);
  runnerd::v1::SandboxStatus status;
  EXPECT_EQ(stub->GetStatus(&context, {}, &status).error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace auspex
