// SPDX-License-Identifier: AGPL-3.0-only
// Another process wants the key: one of another user, and one of keyd's own user without privileges. Each attack is first tried
// on an ordinary process of that user, where it works, so that a failure against keyd is keyd's doing.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/sanitized.h"
#include "common/base/unique_fd.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/redteam/attack.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

using keyd::KeydProcess;

constexpr int kWorked = 1, kRefused = 2;
const std::string kMarker = "an ordinary secret";

int Outcome(bool worked) { return worked ? kWorked : kRefused; }

std::string Proc(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

struct Attack {
  const char* name;
  int (*run)(pid_t target, unsigned long address);
};

// `address` is readable in the target.
const Attack kAttacks[] = {
    {"read /proc/PID/mem",
     [](pid_t target, unsigned long address) {
       char octets[8];
       const UniqueFd fd(::open(Proc(target, "mem").c_str(), O_RDONLY));
       return Outcome(fd.valid() && ::pread(fd.get(), octets, 8, static_cast<off_t>(address)) == 8);
     }},
    {"write /proc/PID/mem",
     [](pid_t target, unsigned long) {
       return Outcome(UniqueFd(::open(Proc(target, "mem").c_str(), O_RDWR)).valid());
     }},
    {"list its mappings",
     [](pid_t target, unsigned long) {
       return Outcome(UniqueFd(::open(Proc(target, "maps").c_str(), O_RDONLY)).valid());
     }},
    {"read its environment",
     [](pid_t target, unsigned long) {
       return Outcome(UniqueFd(::open(Proc(target, "environ").c_str(), O_RDONLY)).valid());
     }},
    {"list its descriptors",
     [](pid_t target, unsigned long) {
       DIR* folder = ::opendir(Proc(target, "fd").c_str());
       if (folder != nullptr) ::closedir(folder);
       return Outcome(folder != nullptr);
     }},
    {"ptrace attach",
     [](pid_t target, unsigned long) {
       return Outcome(::ptrace(PTRACE_ATTACH, target, 0, 0) == 0);
     }},
    {"ptrace seize",
     [](pid_t target, unsigned long) {
       return Outcome(::ptrace(PTRACE_SEIZE, target, 0, 0) == 0);
     }},
    {"process_vm_readv",
     [](pid_t target, unsigned long address) {
       char octets[8];
       iovec local{octets, 8}, remote{reinterpret_cast<void*>(address), 8};
       return Outcome(::process_vm_readv(target, &local, 1, &remote, 1, 0) == 8);
     }},
    {"process_vm_writev",
     [](pid_t target, unsigned long address) {
       char octets[8] = {};
       iovec local{octets, 8}, remote{reinterpret_cast<void*>(address), 8};
       return Outcome(::process_vm_writev(target, &local, 1, &remote, 1, 0) == 8);
     }},
    {"pidfd_getfd",
     [](pid_t target, unsigned long) {
       const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, target, 0)));
       return Outcome(
           pidfd.valid() &&
           UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), 2, 0))).valid());
     }},
};

// An address that is mapped in keyd, as root sees it.
unsigned long SomeAddressOf(pid_t pid) {
  std::ifstream maps(Proc(pid, "maps"));
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    char flags[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &low, &high, flags) == 3 && flags[0] == 'r' &&
        flags[1] == 'w') {
      return low;
    }
  }
  return 0;
}

// A process of `user` that waits and hides nothing.
class OrdinaryProcess {
 public:
  explicit OrdinaryProcess(uid_t user) {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Become(user);
      ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
      ::kill(::getpid(), SIGSTOP);
      for (;;) ::pause();
    }
    // Stopped: it is ready.
    int status = 0;
    ::waitpid(pid_, &status, WUNTRACED);
  }
  ~OrdinaryProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// keyd with a key, run by an ordinary user.
class Attackers : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, to be several users");
    {
      const KeydProcess first(home_.path());
      ASSERT_TRUE(first.ready()) << first.log();
      first.CreateKey();
    }
    GiveTo(kVictim, home_.path());
    ASSERT_EQ(AsUser(kVictim,
                     [] {
                       const std::string program =
                           std::string(std::getenv("AUSPEX_BIN_DIR")) + "/auspex-keyd";
                       return ::access(program.c_str(), X_OK);
                     }),
              0)
        << "other users cannot reach the programs of this build";
    keyd_.emplace(home_.path(), std::vector<std::string>{}, [] { Become(kVictim); });
    ASSERT_TRUE(keyd_->ready()) << keyd_->log();
  }
  keyd::ScratchDir home_;
  std::optional<KeydProcess> keyd_;
};

TEST_F(Attackers, TheSameUserWithoutPrivilegesGetsNothing) {
  const unsigned long address = SomeAddressOf(keyd_->pid());
  ASSERT_NE(address, 0u);
  for (const Attack& attack : kAttacks) {
    const OrdinaryProcess ordinary(kVictim);
    EXPECT_EQ(AsUser(kVictim,
                     [&] {
                       return attack.run(ordinary.pid(),
                                         reinterpret_cast<unsigned long>(kMarker.data()));
                     }),
              kWorked)
        << attack.name << ": does not work on an ordinary process, so the next proves nothing";
    EXPECT_EQ(AsUser(kVictim, [&] { return attack.run(keyd_->pid(), address); }), kRefused)
        << attack.name;
  }
}

TEST_F(Attackers, AnotherUserGetsNothing) {
  const unsigned long address = SomeAddressOf(keyd_->pid());
  for (const Attack& attack : kAttacks) {
    EXPECT_EQ(AsUser(kStranger, [&] { return attack.run(keyd_->pid(), address); }), kRefused)
        << attack.name;
  }
}

TEST_F(Attackers, AnotherUserReadsNoFileOfIt) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.path())) {
    const std::string path = entry.path().string();
    files += entry.is_regular_file();
    EXPECT_EQ(AsUser(kStranger,
                     [&] { return Outcome(UniqueFd(::open(path.c_str(), O_RDONLY)).valid()); }),
              kRefused)
        << path;
    EXPECT_EQ(AsUser(kStranger, [&] { return Outcome(::rename(path.c_str(), "/tmp/taken") == 0); }),
              kRefused)
        << path;
  }
  EXPECT_GE(files, 5);
}

// A crash leaves no core, whatever the limit was and wherever it runs.
TEST(Crashes, LeaveNoCore) {
  AUSPEX_SKIP_UNLESS(!kSanitized, "a build without a sanitizer, which takes these signals itself");
  const auto generous = [](const std::string& folder) {
    const rlimit much{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_CORE, &much) != 0 || ::chdir(folder.c_str()) != 0) ::_exit(97);
  };
  const keyd::ScratchDir ordinary_home;
  const pid_t ordinary = ::fork();
  if (ordinary == 0) {
    generous(ordinary_home.path());
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  int status = 0;
  ASSERT_EQ(::waitpid(ordinary, &status, 0), ordinary);
  AUSPEX_SKIP_UNLESS(WIFSIGNALED(status) && WCOREDUMP(status),
                     "a machine on which an ordinary crash leaves a core");
  for (const int signal : {SIGSEGV, SIGABRT, SIGQUIT, SIGBUS}) {
    const keyd::ScratchDir home;
    KeydProcess target(home.path(), {}, [&] { generous(home.path()); });
    ASSERT_TRUE(target.ready()) << target.log();
    target.CreateKey();
    ASSERT_EQ(::kill(target.pid(), signal), 0);
    ASSERT_EQ(::waitpid(target.pid(), &status, 0), target.pid());
    target.Forget();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_FALSE(WCOREDUMP(status)) << signal;
    for (const auto& entry : std::filesystem::directory_iterator(home.path())) {
      EXPECT_NE(entry.path().filename().string().rfind("core", 0), 0u) << entry.path();
    }
  }
}

}  // namespace
}  // namespace auspex::redteam
