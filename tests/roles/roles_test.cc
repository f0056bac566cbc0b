// SPDX-License-Identifier: AGPL-3.0-only
// P3: each role reaches its own RPCs and no others, and a wrong peer, or one with another role's
// key, is refused before HTTP/2 starts. On the real daemons.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>

#include "common/ipc/channel.h"
#include "common/ipc/role_key.h"
#include "tests/e2e/harness.h"
#include "tests/roles/calls.h"
#include "tests/support/skip.h"

namespace auspex::roles {
namespace {

using ::testing::IsEmpty;
using ::testing::StartsWith;

// The table of docs/ARCHITECTURE.md, "Sockets and roles".
const std::map<std::string, std::set<std::string>>& Table() {
  static const auto* table = new std::map<std::string, std::set<std::string>>{
      {"keyd/request", {"auspex.keyd.v1.RequestSigner"}},
      {"keyd/result", {"auspex.keyd.v1.ResultSigner"}},
      {"keyd/owner", {"auspex.keyd.v1.KeyOwner"}},
      {"stated/net", {"auspex.stated.v1.Intake", "auspex.stated.v1.Outbox"}},
      {"stated/run", {"auspex.stated.v1.Work"}},
      {"stated/owner", {"auspex.stated.v1.Query", "auspex.stated.v1.Policy"}},
      {"netd/owner", {"auspex.netd.v1.Connection"}},
      {"runnerd/owner", {"auspex.runnerd.v1.Packages", "auspex.runnerd.v1.Sandboxes"}},
  };
  return *table;
}

const char* Word(grpc::StatusCode code) {
  static const char* const words[] = {
      "OK",        "CANCELLED",      "UNKNOWN",       "INVALID_ARGUMENT", "DEADLINE",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION",    "EXHAUSTED",        "PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED", "INTERNAL",         "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? words[code] : "?";
}

// The four daemons of one worker, for all tests of this file.
class Roles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new e2e::TempFolder;
    daemons_ = new std::map<std::string, e2e::Process>;
    // A port where nobody answers: netd must not reach anything.
    e2e::WriteText(*folder_ / "worker.toml", "[coordinator]\nurl = \"http://127.0.0.1:1\"\n");
    for (const char* name : {"keyd", "stated", "runnerd", "netd"}) {
      (*daemons_)[name] =
          e2e::Process({{e2e::Program(std::string("auspex-") + name), "--home", folder_->path()},
                        {},
                        *folder_ / (std::string(name) + ".log"),
                        true});
      ASSERT_TRUE((*daemons_)[name].WaitReady(20))
          << name << ": " << e2e::ReadText(*folder_ / (std::string(name) + ".log"));
    }
  }
  static void TearDownTestSuite() {
    delete daemons_;
    delete folder_;
    e2e::KillOrphans();
  }

  static std::string Socket(const std::string& role) {
    return *folder_ / ("run/" + role + ".sock");
  }
  static std::shared_ptr<grpc::Channel> Channel(const std::string& role) {
    return ConnectTo(Socket(role));
  }

  static e2e::TempFolder* folder_;
  static std::map<std::string, e2e::Process>* daemons_;
};
e2e::TempFolder* Roles::folder_ = nullptr;
std::map<std::string, e2e::Process>* Roles::daemons_ = nullptr;

TEST_F(Roles, EverySocketHasItsOwnServicesAndNoOthers) {
  const std::vector<Method> methods = AllMethods();
  ASSERT_GE(methods.size(), 40u);
  std::map<std::string, std::map<std::string, Outcome>> seen;  // role -> path
  for (const auto& [role, services] : Table()) {
    const auto channel = Channel(role);
    for (const Method& method : methods) {
      const bool own = services.contains(method.service);
      const Outcome outcome = Call(channel.get(), method, "", 5);
      seen[role][method.path()] = outcome;
      SCOPED_TRACE(role + " " + method.path() + ": " + outcome.message);
      if (own) {
        EXPECT_NE(outcome.code, grpc::StatusCode::UNIMPLEMENTED);
        // An answer, a reason, or a stream that waits for something to say; never a server that
        // fell over.
        EXPECT_NE(outcome.code, grpc::StatusCode::INTERNAL);
        if (!method.streams_answers) {
          EXPECT_NE(outcome.code, grpc::StatusCode::DEADLINE_EXCEEDED);
        }
      } else {
        EXPECT_EQ(outcome.code, grpc::StatusCode::UNIMPLEMENTED) << Word(outcome.code);
        EXPECT_FALSE(outcome.answered);
      }
    }
  }
  std::printf("%-46s", "service.method with an empty message");
  for (const auto& [role, unused] : Table()) std::printf(" %-16s", role.c_str());
  std::printf("\n");
  for (const Method& method : methods) {
    const std::string name = method.service.substr(7) + "." + method.name;
    std::printf("%-46s", name.c_str());
    for (const auto& [role, unused] : Table()) {
      const Outcome& outcome = seen[role][method.path()];
      std::printf(" %-16s", outcome.code == grpc::StatusCode::UNIMPLEMENTED ? "-"
                            : outcome.answered                              ? "OK"
                                                                            : Word(outcome.code));
    }
    std::printf("\n");
  }
  for (auto& [name, daemon] : *daemons_) EXPECT_TRUE(daemon.running()) << name << " fell over";
}

// Every service of every contract is on exactly one socket: nothing is left out of the table above.
TEST_F(Roles, TheTableIsWhole) {
  std::map<std::string, int> sockets;
  for (const Method& method : AllMethods()) sockets[method.service] = 0;
  for (const auto& [role, services] : Table()) {
    for (const std::string& service : services) ++sockets[service];
  }
  for (const auto& [service, count] : sockets) EXPECT_EQ(count, 1) << service;
  // And no daemon listens on a socket that the table does not know.
  std::set<std::string> found;
  for (const char* daemon : {"keyd", "stated", "netd", "runnerd"}) {
    const e2e::Finished list =
        e2e::RunCommand({"/usr/bin/find", *folder_ / ("run/" + std::string(daemon)), "-type", "s",
                         "-printf", "%f\n"});
    std::istringstream lines(list.out);
    for (std::string line; std::getline(lines, line);) {
      found.insert(std::string(daemon) + "/" + line.substr(0, line.rfind('.')));
    }
  }
  std::set<std::string> expected;
  for (const auto& [role, unused] : Table()) expected.insert(role);
  EXPECT_EQ(found, expected);
}

TEST_F(Roles, HealthAnswersOnEverySocketAndReflectionOnNone) {
  for (const auto& [role, unused] : Table()) {
    SCOPED_TRACE(role);
    const auto channel = Channel(role);
    const Outcome health = Call(channel.get(), {"grpc.health.v1.Health", "Check"}, "", 5);
    EXPECT_EQ(health.code, grpc::StatusCode::OK) << health.message;
    EXPECT_EQ(health.first_answer, std::string("\x08\x01", 2)) << "not SERVING";
    for (const char* service :
         {"grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}) {
      const Outcome outcome = Call(channel.get(), {service, "ServerReflectionInfo", true}, "", 5);
      EXPECT_EQ(outcome.code, grpc::StatusCode::UNIMPLEMENTED) << Word(outcome.code);
    }
  }
}

// The answer to a connection that says `words`, up to its end or to HTTP/2's first octet, a NUL.
std::string Answer(const std::string& path, const std::string& words) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  std::string heard;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, words.data(), words.size(), MSG_NOSIGNAL) > 0) {
    char octet = 0;
    while (::recv(fd, &octet, 1, 0) == 1 && octet != 0) heard.push_back(octet);
  }
  ::close(fd);
  return heard;
}

// Each role's key on each socket: it opens its own alone. And no key opens none.
TEST_F(Roles, ARolesKeyOpensItsOwnSocketAlone) {
  const std::string refused = "HTTP/1.0 401 ";
  std::set<std::string> keys;
  for (const auto& [role, unused] : Table()) {
    const absl::StatusOr<std::string> key = ReadRoleKey(Socket(role));
    ASSERT_TRUE(key.ok()) << key.status();
    keys.insert(*key);
    for (const auto& [other, unused_too] : Table()) {
      SCOPED_TRACE("key of " + role + " on " + other);
      const std::string heard =
          Answer(Socket(other), "CONNECT auspex HTTP/1.0\r\nAuspex-Role-Key: " + *key + "\r\n\r\n");
      if (role == other) {
        EXPECT_EQ(heard, "HTTP/1.0 200 OK\r\n\r\n");
      } else {
        EXPECT_THAT(heard, StartsWith(refused + other));
      }
    }
    EXPECT_THAT(Answer(Socket(role), "CONNECT auspex HTTP/1.0\r\n\r\n"), StartsWith(refused));
    EXPECT_THAT(Answer(Socket(role), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), StartsWith(refused));
    // A client without the key reaches no method, health included.
    const auto bare =
        grpc::CreateChannel("unix:" + Socket(role), grpc::InsecureChannelCredentials());
    const Outcome health = Call(bare.get(), {"grpc.health.v1.Health", "Check"}, "", 5);
    EXPECT_EQ(health.code, grpc::StatusCode::UNAVAILABLE) << Word(health.code);
  }
  EXPECT_EQ(keys.size(), Table().size()) << "two roles have one key";
}

TEST_F(Roles, SocketsAreOpenToTheirUserAlone) {
  for (const auto& [role, unused] : Table()) {
    struct stat socket = {}, folder = {};
    const std::string path = Socket(role);
    ASSERT_EQ(::stat(path.c_str(), &socket), 0) << path;
    ASSERT_EQ(::stat(path.substr(0, path.rfind('/')).c_str(), &folder), 0);
    EXPECT_EQ(socket.st_mode & 0777, 0600u) << path;
    EXPECT_EQ(folder.st_mode & 0777, 0700u) << path;
    EXPECT_EQ(socket.st_uid, ::getuid());
  }
}

// Connects as `uid` and says how many octets came before the end of the connection, -1 when the
// connection stayed open without a word, -2 when it could not be made. Sends HTTP/2's first octets,
// as any client would.
int OctetsSeenBy(uid_t uid, const std::string& path) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    int seen = -2;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (uid != ::getuid() && (::setgid(uid) != 0 || ::setuid(uid) != 0)) ::_exit(3);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
      (void)!::send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
      pollfd wait = {fd, POLLIN, 0};
      char buffer[4096];
      seen = -1;
      if (::poll(&wait, 1, 5000) > 0)
        seen = static_cast<int>(std::max<ssize_t>(0, ::read(fd, buffer, sizeof buffer)));
    }
    (void)!::write(ends[1], &seen, sizeof seen);
    ::_exit(0);
  }
  ::close(ends[1]);
  int seen = -3;
  (void)!::read(ends[0], &seen, sizeof seen);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return seen;
}

TEST_F(Roles, AWrongUserIsRefusedAtAcceptBeforeAnyOctet) {
  AUSPEX_SKIP_UNLESS(::getuid() == 0, "root, to become another user");
  // The folders and files already keep others out; open them all, so that only the check at accept
  // is left.
  ::chmod(folder_->path().c_str(), 0711);
  ::chmod((*folder_ / "run").c_str(), 0711);
  for (const auto& [role, unused] : Table()) {
    SCOPED_TRACE(role);
    const std::string path = Socket(role);
    const std::string folder = path.substr(0, path.rfind('/'));
    EXPECT_EQ(OctetsSeenBy(65534, path), -2) << "the socket file let a stranger connect";
    ::chmod(folder.c_str(), 0711);
    ::chmod(path.c_str(), 0777);
    EXPECT_EQ(OctetsSeenBy(65534, path), 0) << "a stranger was spoken to";
    EXPECT_GT(OctetsSeenBy(0, path), 0) << "the right user was not spoken to";
    ::chmod(path.c_str(), 0600);
    ::chmod(folder.c_str(), 0700);
  }
  ::chmod(folder_->path().c_str(), 0700);
}

}  // namespace
}  // namespace auspex::roles
