// SPDX-License-Identifier: AGPL-3.0-only
// The daemons' lists of system calls, as the BPF programs that the kernel runs: every number, in both directions, against the
// table itself, and what matters most once more without the table. What keyd's program does to a living process is in
// filter_live_test.cc, what the other daemons' do in calls_test.cc.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "common/harden/allow_list.h"
#include "keyd/syscalls.h"
#include "netd/syscalls.h"
#include "runnerd/seccomp_policy.h"
#include "runnerd/syscalls.h"
#include "stated/syscalls.h"
#include "tests/support/bpf.h"

namespace auspex {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kNative = AUDIT_ARCH_X86_64, kForeign = AUDIT_ARCH_I386;
#else
constexpr uint32_t kNative = AUDIT_ARCH_AARCH64, kForeign = AUDIT_ARCH_ARM;
#endif
constexpr uint32_t kAllow = SECCOMP_RET_ALLOW, kKill = SECCOMP_RET_KILL_PROCESS,
                   kEnosys = SECCOMP_RET_ERRNO | ENOSYS, kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr int kPid = 4711;

using Arguments = std::vector<uint64_t>;

// What not even a process has a use for that launches sandboxes.
constexpr long kNoLaunchers[] = {SYS_ptrace,
                                 SYS_process_vm_readv,
                                 SYS_process_vm_writev,
                                 SYS_pidfd_getfd,
                                 SYS_kcmp,
                                 SYS_process_madvise,
                                 SYS_io_uring_setup,
                                 SYS_io_uring_enter,
                                 SYS_io_uring_register,
                                 SYS_bpf,
                                 SYS_perf_event_open,
                                 SYS_userfaultfd,
                                 SYS_keyctl,
                                 SYS_add_key,
                                 SYS_request_key,
                                 SYS_setns,
                                 SYS_setuid,
                                 SYS_setgid,
                                 SYS_setresuid,
                                 SYS_setgroups,
                                 SYS_chroot,
                                 SYS_shmget,
                                 SYS_shmat,
                                 SYS_semget,
                                 SYS_msgget,
                                 SYS_mq_open,
                                 SYS_open_by_handle_at,
                                 SYS_name_to_handle_at,
                                 SYS_kexec_load,
                                 SYS_init_module,
                                 SYS_finit_module,
                                 SYS_delete_module,
                                 SYS_syslog,
                                 SYS_splice,
                                 SYS_vmsplice,
                                 SYS_tee,
                                 SYS_fanotify_init,
                                 SYS_quotactl,
                                 SYS_swapon,
                                 SYS_reboot,
                                 SYS_acct,
                                 SYS_settimeofday,
                                 SYS_clock_settime,
                                 SYS_adjtimex,
                                 SYS_setdomainname,
                                 SYS_migrate_pages,
                                 SYS_move_pages};
// What the daemons that launch nothing have no use for either.
constexpr long kOnlyLaunchers[] = {SYS_execve,
                                   SYS_execveat,
                                   SYS_kill,
                                   SYS_tkill,
                                   SYS_listen,
                                   SYS_pidfd_open,
                                   SYS_pidfd_send_signal,
                                   SYS_mount,
                                   SYS_umount2,
                                   SYS_unshare,
                                   SYS_pivot_root,
                                   SYS_capset,
                                   SYS_seccomp,
                                   SYS_personality,
                                   SYS_pkey_mprotect,
                                   SYS_memfd_create,
                                   SYS_setrlimit,
                                   SYS_sendfile,
                                   SYS_ioprio_set,
                                   SYS_setpriority,
                                   SYS_landlock_restrict_self};

struct Daemon {
  const char* name;
  const AllowList& list;
};
void PrintTo(const Daemon& daemon, std::ostream* out) { *out << daemon.name; }

class Filter : public ::testing::Test {
 protected:
  void Use(const AllowList& list) {
    auto program = Compile(list, kPid);
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
    for (const AllowedCall& row : list.allowed) {
      const int number = seccomp_syscall_resolve_name(std::string(row.name).c_str());
      ASSERT_NE(number, __NR_SCMP_ERROR) << row.name;
      if (number >= 0) rows_[number].push_back(&row);
    }
    for (const AbsentCall& row : list.absent) {
      absent_.push_back(seccomp_syscall_resolve_name(std::string(row.name).c_str()));
    }
    denied_ = list.otherwise == Otherwise::kKill ? kKill : kEperm;
  }
  uint32_t Ask(long number, const Arguments& arguments = {}, uint32_t arch = kNative) const {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = arch;
    for (size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
    return testing::EvaluateBpf(program_, data);
  }
  void ExpectDenied(std::span<const long> numbers) const {
    for (const long number : numbers) {
      EXPECT_EQ(Ask(number), denied_) << number;
      EXPECT_EQ(Ask(number, {1, 1, 1, 1, 1, 1}), denied_) << number;
    }
  }
  // No socket is made, and sendto names no other than who is connected already. sendmsg, which gRPC answers by, has its address behind
  // a pointer, which no filter follows: what it reaches is where an open datagram socket reaches, the service manager's.
  void ExpectNoNewPeer() const {
    for (uint64_t family = 0; family < 50; ++family)
      EXPECT_EQ(Ask(SYS_socket, {family}), denied_) << family;
    EXPECT_EQ(Ask(SYS_sendto, {3, 1, 1, 0, 0, 0}), kAllow);
    EXPECT_EQ(Ask(SYS_sendto, {3, 1, 1, 0, 0x7fff00000000, 16}), denied_);
    EXPECT_EQ(Ask(SYS_sendmsg, {3, 1, 0}), kAllow);
  }
  static uint64_t Value(const ArgumentCheck& check) {
    return check.value == kOwnPid ? kPid : check.value;
  }
  // What the table says, read in the plainest way.
  uint32_t Expected(int number, const Arguments& arguments) const {
    if (std::find(absent_.begin(), absent_.end(), number) != absent_.end()) return kEnosys;
    const auto found = rows_.find(number);
    if (found == rows_.end()) return denied_;
    for (const AllowedCall* row : found->second) {
      const bool all = std::all_of(row->when.begin(), row->when.end(), [&](const auto& check) {
        return (arguments[check.argument] & check.mask) == Value(check);
      });
      if (all) return kAllow;
    }
    return denied_;
  }

  std::vector<sock_filter> program_;
  std::map<int, std::vector<const AllowedCall*>> rows_;
  std::vector<int> absent_;
  uint32_t denied_ = 0;
};

class EveryFilter : public Filter, public ::testing::WithParamInterface<Daemon> {
 protected:
  void SetUp() override { Use(GetParam().list); }
};
INSTANTIATE_TEST_SUITE_P(Daemons, EveryFilter,
                         ::testing::Values(Daemon{"keyd", keyd::KeydCalls()},
                                           Daemon{"stated", stated::StatedCalls()},
                                           Daemon{"netd", NetdCalls()},
                                           Daemon{"runnerd", runnerd::RunnerdCalls()}),
                         [](const auto& one) { return std::string(one.param.name); });

class KeydFilter : public Filter {
 protected:
  void SetUp() override { Use(keyd::KeydCalls()); }
};

// Arguments worth trying: small ones, large ones, and for each checked argument its value with every single bit changed.
TEST_P(EveryFilter, AnswersEveryNumberAsTheTableSays) {
  int asked = 0, allowed = 0;
  for (int number = 0; number <= 600; ++number) {
    std::vector<Arguments> all = {{0, 0, 0, 0, 0, 0},
                                  {1, 1, 1, 1, 1, 1},
                                  {2, 3, 4, 5, 6, 7},
                                  {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}};
    if (const auto found = rows_.find(number); found != rows_.end()) {
      for (const AllowedCall* row : found->second) {
        Arguments fits(6, 0);
        for (const ArgumentCheck& check : row->when) fits[check.argument] = Value(check);
        all.push_back(fits);
        for (unsigned argument = 0; argument < 6; ++argument) {
          for (int bit = 0; bit < 64; ++bit) {
            all.push_back(fits);
            all.back()[argument] ^= uint64_t{1} << bit;
          }
        }
      }
    }
    for (const Arguments& arguments : all) {
      const uint32_t expected = Expected(number, arguments);
      ASSERT_EQ(Ask(number, arguments), expected)
          << number << " (" << arguments[0] << ", " << arguments[1] << ", " << arguments[2] << ")";
      ++asked;
      allowed += expected == kAllow;
    }
  }
  EXPECT_GT(allowed, 1000);
  EXPECT_GT(asked - allowed, 2000);
}

TEST_P(EveryFilter, HasARowsReasonAndNoCheckThatCannotHold) {
  for (const auto& [number, rows] : rows_) {
    for (const AllowedCall* row : rows) {
      EXPECT_FALSE(row->needed_by.empty()) << row->name;
      for (const ArgumentCheck& check : row->when) {
        EXPECT_EQ(Value(check) & ~check.mask, 0u) << row->name << ": can never hold";
      }
    }
  }
}

// Said once more without the table, so that a careless row is noticed.
TEST_F(KeydFilter, TheCallsThatMatterMostKill) {
  ExpectDenied(kNoLaunchers);
  ExpectDenied(kOnlyLaunchers);
  ExpectDenied(std::array<long, 3>{SYS_connect, SYS_bind, SYS_socketpair});
  ExpectNoNewPeer();
  // A thread, and neither a process nor a namespace.
  constexpr uint64_t thread = 0x3d0f00;
  EXPECT_EQ(Ask(SYS_clone, {thread}), kAllow);
  EXPECT_EQ(Ask(SYS_clone, {17}), kKill);  // fork: SIGCHLD
  EXPECT_EQ(Ask(SYS_clone, {thread | CLONE_NEWUSER}), kKill);
  EXPECT_EQ(Ask(SYS_clone, {thread & ~uint64_t{CLONE_THREAD}}), kKill);
  EXPECT_EQ(Ask(SYS_clone3), kEnosys);
  EXPECT_EQ(Ask(SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE}), kAllow);
  EXPECT_EQ(Ask(SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}), kKill);
  EXPECT_EQ(Ask(SYS_mprotect, {0, 4096, PROT_READ}), kAllow);
  EXPECT_EQ(Ask(SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}), kKill);
  EXPECT_EQ(Ask(SYS_madvise, {0, 4096, MADV_DODUMP}), kKill);
  EXPECT_EQ(Ask(SYS_madvise, {0, 4096, MADV_DOFORK}), kKill);
  EXPECT_EQ(Ask(SYS_prctl, {PR_SET_NAME}), kAllow);
  EXPECT_EQ(Ask(SYS_prctl, {PR_SET_DUMPABLE, 1}), kKill);
  EXPECT_EQ(Ask(SYS_prctl, {PR_SET_PTRACER, 1}), kKill);
  EXPECT_EQ(Ask(SYS_prlimit64, {0, 4, 0}), kAllow);
  EXPECT_EQ(Ask(SYS_prlimit64, {0, 4, 0x7fff00000000}), kKill);
  EXPECT_EQ(Ask(SYS_prlimit64, {1, 4, 0}), kKill);
  EXPECT_EQ(Ask(SYS_tgkill, {kPid, kPid, 6}), kAllow);
  EXPECT_EQ(Ask(SYS_tgkill, {1, 1, 9}), kKill);
}

TEST_P(EveryFilter, KillsForeignArchitectures) {
  for (int number = 0; number <= 500; ++number) {
    EXPECT_EQ(Ask(number, {}, kForeign), kKill) << number;
#if defined(__x86_64__)
    EXPECT_EQ(Ask(0x40000000L | number), kKill) << "x32 " << number;
#endif
  }
}

class StatedFilter : public Filter {
 protected:
  void SetUp() override { Use(stated::StatedCalls()); }
};

TEST_F(StatedFilter, TheCallsThatMatterMostKill) {
  ExpectDenied(kNoLaunchers);
  ExpectDenied(kOnlyLaunchers);
  ExpectDenied(std::array<long, 3>{SYS_connect, SYS_bind, SYS_socketpair});
  ExpectNoNewPeer();
  EXPECT_EQ(Ask(SYS_clone, {17}), kKill);
  EXPECT_EQ(Ask(SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}), kKill);
  EXPECT_EQ(Ask(SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}), kKill);
}

class NetdFilter : public Filter {
 protected:
  void SetUp() override { Use(NetdCalls()); }
};

TEST_F(NetdFilter, TheCallsThatMatterMostAreRefused) {
  ExpectDenied(kNoLaunchers);
  ExpectDenied(kOnlyLaunchers);
  // It has no file of its own.
  ExpectDenied(std::array<long, 6>{SYS_ftruncate, SYS_rename, SYS_mkdir, SYS_fchmod, SYS_linkat,
                                   SYS_symlinkat});
  for (uint64_t family = 0; family < 50; ++family) {
    const bool allowed =
        family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
    EXPECT_EQ(Ask(SYS_socket, {family}), allowed ? kAllow : kEperm) << family;
  }
  EXPECT_EQ(Ask(SYS_clone, {17}), kEperm);
  // A module may be loaded from its file; what was written may never be run.
  EXPECT_EQ(Ask(SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}), kAllow);
  EXPECT_EQ(Ask(SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC}), kEperm);
  EXPECT_EQ(Ask(SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}), kEperm);
}

class RunnerdFilter : public Filter {
 protected:
  void SetUp() override { Use(runnerd::RunnerdCalls()); }
};

TEST_F(RunnerdFilter, TheCallsThatMatterMostAreRefused) { ExpectDenied(kNoLaunchers); }

// Who inherits the list may do all that its own, narrower one says, and sees the same errors.
TEST_F(RunnerdFilter, LeavesTenantsWhatTheirOwnListLeavesThem) {
  const auto number_of = [](std::string_view name) {
    return seccomp_syscall_resolve_name(std::string(name).c_str());
  };
  const runnerd::SeccompPolicy& tenants = runnerd::DevicePolicy();
  for (const runnerd::SyscallGroup& group : tenants.allowed) {
    for (const std::string_view name : group.names) {
      if (number_of(name) < 0) continue;
      EXPECT_EQ(Ask(number_of(name), {~0ull, ~0ull, ~0ull}), kAllow) << name;
    }
  }
  for (const runnerd::ArgumentRule& rule : tenants.ruled) {
    for (const uint64_t value : rule.values) {
      Arguments arguments(6, 0);
      arguments[rule.argument] = value;
      EXPECT_EQ(Ask(number_of(rule.name), arguments), kAllow) << rule.name;
    }
  }
}

TEST_F(KeydFilter, AListThatCannotBeExpressedIsAnError) {
  AllowList list = keyd::KeydCalls();
  list.allowed.push_back({"no_such_call", {}, "nobody"});
  EXPECT_FALSE(Compile(list, kPid).ok());
}

}  // namespace
}  // namespace auspex
