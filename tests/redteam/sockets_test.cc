// SPDX-License-Identifier: AGPL-3.0-only
// P14 on a running worker: each daemon, taken over, asks the kernel for a way to the network. The test plays the attacker's
// code: as root it stops the real process and has it make the call.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/e2e/fixture.h"
#include "tests/redteam/attack.h"
#include "tests/support/skip.h"

namespace auspex::e2e {
namespace {

using redteam::CanInject;
using redteam::InjectCall;
using redteam::Injected;

struct Way {
  const char* name;
  long number;
  std::array<unsigned long, 6> arguments;
};
const Way kWays[] = {
    {"an Internet socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"an IPv6 socket", SYS_socket, {AF_INET6, SOCK_DGRAM, 0}},
    {"a packet socket", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"a socket to the hypervisor", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"sockets by io_uring", SYS_io_uring_setup, {1, 0, 0}},
};

// What came of it, in one word: "made", "refused" or "ended" (the process by the call).
std::string Try(pid_t pid, const Way& way) {
  const std::optional<Injected> injected = InjectCall(pid, way.number, way.arguments);
  if (!injected) return "not tried";
  if (!injected->done) return "ended";
  if (injected->result >= 0) return "made";
  const bool by_the_filter = injected->result == -EAFNOSUPPORT || injected->result == -EPERM;
  return by_the_filter ? "refused" : "failed by itself: " + std::to_string(injected->result);
}

TEST_F(LabTest, NoDaemonButNetdOpensANetworkSocket) {
  AUSPEX_SKIP_UNLESS(CanInject(), "root on x86-64, to make calls inside another process");
  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  // A unit that went through all four shows that each of them has ended its start.
  const Package noop = Pack("noop", "sockets");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(1), 1, noop.archive_base64);
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 1, 60)) << coordinator_->Progress(experiment);
  // The way of asking works: netd, whose work this is, gets one.
  EXPECT_EQ(Try(worker.PidOf("netd"), kWays[0]), "made");
  for (const char* daemon : {"stated", "runnerd"}) {
    for (const Way& way : kWays) {
      const pid_t pid = worker.PidOf(daemon);
      ASSERT_GT(pid, 0) << daemon;
      EXPECT_EQ(Try(pid, way), "refused") << daemon << ": " << way.name;
    }
  }
  // keyd does not outlive the attempt, and its supervisor starts another.
  for (const Way& way : kWays) {
    pid_t pid = 0;
    ASSERT_TRUE(Eventually(30, [&] { return (pid = worker.PidOf("keyd")) > 0; })) << way.name;
    EXPECT_EQ(Try(pid, way), "ended") << "keyd: " << way.name;
    ASSERT_TRUE(Eventually(30, [&] {
      const pid_t now = worker.PidOf("keyd");
      return now > 0 && now != pid && worker.VerbJson({"status"}).is_object();
    })) << way.name;
  }
  EXPECT_EQ(worker.StopDaemon(), 0);
}

}  // namespace
}  // namespace auspex::e2e
