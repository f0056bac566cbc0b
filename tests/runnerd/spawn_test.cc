// SPDX-License-Identifier: AGPL-3.0-only
// How runnerd's children begin: with which descriptors, signals and environment, in which cgroup,
// and what is left when one cannot begin.
#include "runnerd/spawn.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <thread>

#include "common/base/cat.h"
#include "runnerd/bounded_reader.h"
#include "tests/runnerd/cgroup_fixture.h"
#include "tests/support/skip.h"

namespace auspex::runnerd {
namespace {

using testing::HasSubstr;

// What a shell says that was started with these descriptors and a pipe as the last one.
std::string Said(const std::string& script, std::vector<int> descriptors, int cgroup = -1) {
  auto pipe = Pipe::Make();
  descriptors.push_back(pipe->write.get());
  auto process = Process::Start({"/bin/sh", "-c", script}, descriptors, cgroup);
  if (!process.ok()) return std::string(process.status().message());
  pipe->write.Reset();
  process->Wait();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(pipe->read.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

TEST(Spawn, DescriptorsArePutInOrderAndNothingElseIsInherited) {
  int first[2], second[2];
  ASSERT_EQ(pipe(first), 0);
  ASSERT_EQ(pipe(second), 0);
  ASSERT_EQ(write(first[1], "one\n", 4), 4);
  ASSERT_EQ(write(second[1], "two\n", 4), 4);
  // The sources lie among the targets: 0 and 1 are made of what may itself be in their way.
  EXPECT_EQ(Said("read a <&0; read b <&1; echo $a $b >&2", {second[0], first[0]}), "two one\n");
  // ls itself opens the folder, as the first free number.
  EXPECT_EQ(Said("exec >&2; echo $(ls /proc/self/fd)", {first[0], second[0]}), "0 1 2 3\n");
  for (int fd : {first[0], first[1], second[0], second[1]}) close(fd);
}

TEST(Spawn, SignalsAndEnvironmentAreTheProgramsOwn) {
  signal(SIGUSR1, [](int) {});
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const std::string status = Said("exec >&2; cat /proc/self/status; env", {0, 1});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("SigCgt:\t0000000000000000"));
  EXPECT_EQ(status.find("HOME="), std::string::npos);
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  EXPECT_FALSE(sigismember(&now, SIGTERM));  // as it was
  signal(SIGUSR1, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
}

TEST(Spawn, AProgramThatCannotStartIsNamedAndLeavesNoProcess) {
  const auto missing = SpawnChild({"/nonexistent/program"}, {0, 1, 2});
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("start /nonexistent/program: No such file"));
  const auto closed = SpawnChild({"/bin/true"}, {12345});
  EXPECT_THAT(std::string(closed.status().message()), HasSubstr("Bad file descriptor"));
  const auto no_cgroup = SpawnChild({"/bin/true"}, {0, 1, 2}, 0);
  EXPECT_FALSE(no_cgroup.ok());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Spawn, ManyThreadsStartAtTheSameTime) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&good] {
      for (int i = 0; i < 50; ++i) {
        auto process = Process::Start({"/bin/sh", "-c", "exit 7"}, {0, 1, 2});
        if (process.ok() && WEXITSTATUS(process->Wait()) == 7) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
}

class SpawnIntoCgroup : public testing::Test {
 protected:
  ScratchFolder folder_;
  std::unique_ptr<CgroupTree> tree_ = CgroupTree::Open(folder_.path());
};

TEST_F(SpawnIntoCgroup, TheChildIsBornInIt) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  auto cgroup = tree_->Make({});
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  const std::string said = Said("exec >&2; grep ^0:: /proc/self/cgroup", {0, 1}, cgroup->fd());
  EXPECT_THAT(said, HasSubstr("/unit-1\n"));
  EXPECT_TRUE(cgroup->IsEmpty());
}

// A container's filter may answer ENOSYS to clone3: the child then goes there by itself.
TEST_F(SpawnIntoCgroup, WithoutClone3TheChildGoesThereFirst) {
  AUSPEX_NEEDS_CGROUP(*tree_);
  auto cgroup = tree_->Make({});
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  const int result = InChild([&] {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      return 1;
    }
    if (syscall(SYS_clone3, nullptr, 0) != -1 || errno != ENOSYS) return 2;
    const std::string said = Said("exec >&2; grep ^0:: /proc/self/cgroup", {0, 1}, cgroup->fd());
    return said.find("/unit-1\n") != std::string::npos ? 0 : 3;
  });
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace auspex::runnerd
