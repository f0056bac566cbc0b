// SPDX-License-Identifier: AGPL-3.0-only
// NetdLab: the real auspex-netd between a mock coordinator and fakes of its two neighbours, in a
// home folder of its own. NetdProcess is the child alone. One test thread uses them; handlers run
// on the server's threads.
#ifndef AUSPEX_TESTS_NETD_NETD_PROCESS_H_
#define AUSPEX_TESTS_NETD_NETD_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "auspex/netd/v1/netd.grpc.pb.h"
#include "tests/netd/fake_keyd.h"
#include "tests/netd/fake_stated.h"
#include "tests/netd/mock_server.h"

namespace auspex::testing {

class NetdProcess {
 public:
  NetdProcess(const std::string& home, const std::vector<std::string>& arguments);
  // Kills what still runs.
  ~NetdProcess();
  pid_t pid() const { return pid_; }
  // SIGTERM and Wait.
  int Stop();
  // Waits for the end (at most 30 s, then kills); the exit code, or -1 when it did not exit by
  // itself.
  int Wait();
  // What it has written to standard error so far.
  std::string Log() const;

 private:
  std::string log_file_;
  pid_t pid_ = -1;
};

class NetdLab {
 public:
  // `handler` answers as the coordinator; a heartbeat and an empty poll are answered here when it
  // is null or returns without an answer for them.
  using Handler = MockServer::Handler;
  explicit NetdLab(Handler handler, const std::string& prefix = "");
  ~NetdLab();

  // Writes the configuration; call before Start. Intervals in seconds.
  void Configure(const std::string& more_toml);
  NetdProcess& Start(std::vector<std::string> arguments = {});
  std::unique_ptr<netd::v1::Connection::Stub> Owner() const;

  std::string home;
  MockServer server;
  std::unique_ptr<FakeStated> stated;
  std::unique_ptr<FakeKeyd> keyd;
  std::unique_ptr<NetdProcess> netd;
};

// Answers of a friendly coordinator.
inline constexpr char kBeat[] = "/api/v0/workers/wkr-test/heartbeat";
inline constexpr char kPoll[] = "/api/v0/workers/wkr-test/assignments";

// A coordinator that answers heartbeats well and gives polls, numbered from 1, to `poll`.
NetdLab::Handler Polls(std::function<void(int n, const MockRequest&, MockWire&)> poll);

void ReplyHeartbeat(MockWire& wire);
void ReplyNoWork(MockWire& wire);
void ReplyUnit(MockWire& wire, const std::string& assignment, const std::string& unit,
               const std::string& payload = "{}");
void ReplyError(MockWire& wire, int status, const std::string& code,
                const std::string& details = "{}");

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_NETD_NETD_PROCESS_H_
