// SPDX-License-Identifier: AGPL-3.0-only
// Each daemon of a running worker, taken over, makes calls that it has no business with: ways to the network (P14), and what else
// its list of system calls denies. The test plays the attacker's code: as root it stops the real process and has it make the call.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <string>

#include "common/base/sanitized.h"
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

// A process of `daemon` that has ended its start, which it says in the log: before, its list is not in force.
pid_t ReadyPid(Worker& worker, const std::string& daemon) {
  const pid_t pid = worker.PidOf(daemon);
  const std::string ready = "proc=" + daemon + " event=ready pid=" + std::to_string(pid) + "\n";
  return pid > 0 && ReadText(worker.log()).find(ready) != std::string::npos ? pid : 0;
}

// The daemon does not outlive the attempt, and its supervisor starts another.
void ExpectTheEnd(Worker& worker, const char* daemon, const Way& way) {
  pid_t pid = 0, next = 0;
  ASSERT_TRUE(Eventually(30, [&] { return (pid = ReadyPid(worker, daemon)) > 0; })) << way.name;
  EXPECT_EQ(Try(pid, way), "ended") << daemon << ": " << way.name;
  ASSERT_TRUE(Eventually(30, [&] { return (next = ReadyPid(worker, daemon)) > 0 && next != pid; }))
      << daemon << ": " << way.name;
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
  for (const Way& way : kWays) {
    EXPECT_EQ(Try(worker.PidOf("runnerd"), way), "refused") << "runnerd: " << way.name;
  }
  for (const char* daemon : {"keyd", "stated"}) {
    for (const Way& way : kWays) ExpectTheEnd(worker, daemon, way);
  }
  EXPECT_EQ(worker.StopDaemon(), 0);
}

TEST_F(LabTest, EachDaemonMakesItsOwnCallsAlone) {
  AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, for daemons to keep their lists");
  AUSPEX_SKIP_UNLESS(CanInject(), "root on x86-64, to make calls inside another process");
  const Way ways[] = {
      {"another's memory", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
      {"tracing", SYS_ptrace, {16, 1, 0, 0}},
      {"another's descriptor", SYS_pidfd_getfd, {3, 0, 0}},
      {"a comparison of processes", SYS_kcmp, {1, 1, 0, 0, 0}},
      {"io_uring", SYS_io_uring_setup, {1, 0}},
      {"a program of the kernel's own", SYS_bpf, {0, 0, 0}},
      {"counters of the processor", SYS_perf_event_open, {0, 0, 0, 0, 0}},
      {"faults of its own", SYS_userfaultfd, {0}},
      {"a key of the kernel's", SYS_keyctl, {0, 0}},
      {"a file by its handle", SYS_open_by_handle_at, {0, 0, 0}},
      {"another's namespace", SYS_setns, {0, 0}},
      {"a module", SYS_init_module, {0, 0, 0}},
  };
  const Way not_netds[] = {
      {"a namespace", SYS_unshare, {0x10000000}},
      {"a mount", SYS_mount, {0, 0, 0, 0, 0}},
      {"a child", SYS_clone, {SIGCHLD, 0, 0, 0, 0}},
      {"an open port", SYS_listen, {0, 1}},
      {"a packet socket", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
      {"data into code", SYS_mprotect, {0x10000, 4096, PROT_READ | PROT_EXEC}},
      {"code that can be written", SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC, 0x22, ~0ul, 0}},
      {"a signal", SYS_kill, {1, 0}},
      {"dumpable again", SYS_prctl, {PR_SET_DUMPABLE, 1}},
  };
  Worker& worker = AddWorker();
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const Package noop = Pack("noop", "calls");
  const std::string experiment =
      coordinator_->Submit(noop.manifest, Units(1), 1, noop.archive_base64);
  ASSERT_TRUE(coordinator_->WaitCompleted(experiment, 1, 60)) << coordinator_->Progress(experiment);
  const pid_t netd = worker.PidOf("netd"), runnerd = worker.PidOf("runnerd");
  for (const Way& way : ways) {
    EXPECT_EQ(Try(netd, way), "refused") << "netd: " << way.name;
    EXPECT_EQ(Try(runnerd, way), "refused") << "runnerd: " << way.name;
  }
  for (const Way& way : not_netds) EXPECT_EQ(Try(netd, way), "refused") << "netd: " << way.name;
  // The same way of asking, for what is in their lists.
  EXPECT_EQ(Try(netd, {"who am I", SYS_getpid, {}}), "made");
  EXPECT_EQ(Try(runnerd, {"who am I", SYS_getpid, {}}), "made");
  // The list, and what was taken away one by one before it: on every thread as many filters as there are, beside those that this
  // test's own process may have.
  const std::map<std::string, int> filters = {
      {"keyd", 3}, {"stated", 4}, {"netd", 2}, {"runnerd", 2}};
  const int outside = std::atoi(redteam::StatusLine(getpid(), getpid(), "Seccomp_filters").c_str());
  for (const auto& [daemon, own] : filters) {
    const pid_t pid = worker.PidOf(daemon);
    for (const pid_t thread : redteam::ThreadsOf(pid)) {
      const std::string count = redteam::StatusLine(pid, thread, "Seccomp_filters");
      if (count.empty()) continue;  // a thread that ended meanwhile
      EXPECT_EQ(std::atoi(count.c_str()) - outside, own) << daemon;
    }
  }
  // Both go on working.
  const Package again = Pack("noop", "calls-afterwards");
  const std::string more = coordinator_->Submit(again.manifest, Units(1), 1, again.archive_base64);
  EXPECT_TRUE(coordinator_->WaitCompleted(more, 1, 60)) << coordinator_->Progress(more);
  EXPECT_EQ(worker.PidOf("netd"), netd);
  EXPECT_EQ(worker.PidOf("runnerd"), runnerd);
  ExpectTheEnd(worker, "stated", {"a program", SYS_execve, {0, 0, 0}});
  ExpectTheEnd(worker, "stated", {"another's memory", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}});
  EXPECT_EQ(worker.StopDaemon(), 0);
}

}  // namespace
}  // namespace auspex::e2e
