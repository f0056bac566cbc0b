// SPDX-License-Identifier: AGPL-3.0-only
// A keyd that was taken over makes a call that it has no business with. The test plays the attacker's code: as root it stops the
// real process and has it make the call.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/sanitized.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/redteam/attack.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

constexpr char kNoSanitizer[] = "a build without a sanitizer, for keyd to keep its list of calls";

using keyd::KeydProcess;

TEST(DeniedCall, EndsTheRealKeyd) {
  AUSPEX_SKIP_UNLESS(!kSanitized, kNoSanitizer);
  AUSPEX_SKIP_UNLESS(CanInject(), "root on x86-64, to make calls inside another process");
  struct Attack {
    const char* name;
    long number;
    std::array<unsigned long, 6> arguments;
  };
  const Attack attacks[] = {
      {"an Internet socket", SYS_socket, {AF_INET, SOCK_STREAM}},
      {"a program", SYS_execve, {0, 0, 0}},
      {"a process", SYS_clone, {SIGCHLD}},
      {"another's memory", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
      {"dumpable again", SYS_prctl, {PR_SET_DUMPABLE, 1}},
      {"executable memory", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, 0x22, ~0ul, 0}},
      {"another's end", SYS_kill, {1, 0}},
      {"calling a socket", SYS_connect, {0, 0, 0}},
  };
  const keyd::ScratchDir home;
  for (const Attack& attack : attacks) {
    KeydProcess target(home.path());
    ASSERT_TRUE(target.ready()) << target.log();
    const auto end = InjectCall(target.pid(), attack.number, attack.arguments);
    ASSERT_TRUE(end.has_value()) << attack.name;
    EXPECT_FALSE(end->done) << attack.name << " returned " << end->result;
    EXPECT_TRUE(WIFSIGNALED(end->wait_status) && WTERMSIG(end->wait_status) == SIGSYS)
        << attack.name << ": " << end->wait_status;
    EXPECT_FALSE(WCOREDUMP(end->wait_status)) << attack.name;
    target.Forget();
  }
}

// The way in which the calls above are made harms nothing by itself.
TEST(DeniedCall, AnAllowedCallMadeTheSameWayHarmsNothing) {
  AUSPEX_SKIP_UNLESS(CanInject(), "root on x86-64, to make calls inside another process");
  const keyd::ScratchDir home;
  KeydProcess target(home.path());
  ASSERT_TRUE(target.ready()) << target.log();
  const auto end = InjectCall(target.pid(), SYS_getpid, {});
  ASSERT_TRUE(end.has_value() && end->done);
  EXPECT_EQ(end->result, target.pid());
  target.CreateKey();
  EXPECT_TRUE(target.Status().identity().has_key());
  EXPECT_EQ(target.Stop(SIGTERM), 0) << target.log();
}

TEST(DeniedCall, EveryThreadHasEveryFilter) {
  AUSPEX_SKIP_UNLESS(!kSanitized, kNoSanitizer);
  const keyd::ScratchDir home;
  KeydProcess target(home.path());
  ASSERT_TRUE(target.ready()) << target.log();
  const std::vector<pid_t> threads = ThreadsOf(target.pid());
  EXPECT_GT(threads.size(), 3u);
  for (const pid_t thread : threads) {
    const std::string filters = StatusLine(target.pid(), thread, "Seccomp_filters");
    if (filters.empty()) continue;  // a thread that ended meanwhile
    EXPECT_EQ(StatusLine(target.pid(), thread, "Seccomp"), "2");
    EXPECT_EQ(StatusLine(target.pid(), thread, "NoNewPrivs"), "1");
    // Sockets, programs, and the list.
    EXPECT_EQ(filters, "3") << thread;
  }
}

}  // namespace
}  // namespace auspex::redteam
