// SPDX-License-Identifier: AGPL-3.0-only
// The seccomp policy, evaluated as the BPF program that bubblewrap loads, in both directions: what
// must pass passes, what must not does not.
#include <elf.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "runnerd/seccomp_filter.h"
#include "runnerd/seccomp_policy.h"
#include "tests/support/bpf.h"

namespace auspex::runnerd {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kNative = AUDIT_ARCH_X86_64, kForeign = AUDIT_ARCH_I386;
#else
constexpr uint32_t kNative = AUDIT_ARCH_AARCH64, kForeign = AUDIT_ARCH_ARM;
#endif
constexpr uint32_t kAllow = SECCOMP_RET_ALLOW, kEperm = SECCOMP_RET_ERRNO | EPERM,
                   kEnosys = SECCOMP_RET_ERRNO | ENOSYS;

class PolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<UniqueFd> file = BuildSeccompFilter(TenantPolicy());
    ASSERT_TRUE(file.ok()) << file.status();
    struct stat info;
    ASSERT_EQ(fstat(file->get(), &info), 0);
    program_.resize(static_cast<size_t>(info.st_size) / sizeof(sock_filter));
    ASSERT_EQ(pread(file->get(), program_.data(), static_cast<size_t>(info.st_size), 0),
              info.st_size);
    ASSERT_LT(program_.size(), static_cast<size_t>(BPF_MAXINSNS));
  }
  uint32_t Ask(long number, std::vector<uint64_t> arguments = {}, uint32_t arch = kNative) const {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = arch;
    for (size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
    return testing::EvaluateBpf(program_, data);
  }
  std::vector<sock_filter> program_;
};

TEST_F(PolicyTest, EveryAllowedCallPassesAndEveryRuleHoldsBothWays) {
  for (const SyscallGroup& group : TenantPolicy().allowed) {
    EXPECT_FALSE(group.reason.empty());
    for (std::string_view name : group.names) {
      const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
      if (number >= 0) {
        EXPECT_EQ(Ask(number, {1, 2, 3, 4, 5, 6}), kAllow) << name;
      }
    }
  }
  for (const ArgumentRule& rule : TenantPolicy().ruled) {
    EXPECT_FALSE(rule.reason.empty());
    const int number = seccomp_syscall_resolve_name(std::string(rule.name).c_str());
    if (number < 0) continue;
    std::vector<uint64_t> arguments(6, 0);
    const std::set<uint64_t> allowed(rule.values.begin(), rule.values.end());
    for (uint64_t value : allowed) {
      arguments[rule.argument] = value;
      EXPECT_EQ(Ask(number, arguments), kAllow) << rule.name << " " << value;
      // What the kernel ignores, the rule ignores.
      arguments[rule.argument] = value | (~rule.mask & 0xffffffff00000000ULL);
      EXPECT_EQ(Ask(number, arguments), kAllow) << rule.name << " wide " << value;
      // Each masked bit counts.
      for (int bit = 0; bit < 64; ++bit) {
        const uint64_t changed = value ^ (uint64_t{1} << bit);
        if ((rule.mask >> bit & 1) == 0 || allowed.contains(changed & rule.mask)) continue;
        arguments[rule.argument] = changed;
        EXPECT_EQ(Ask(number, arguments), kEperm) << rule.name << " bit " << bit << " of " << value;
      }
    }
  }
}

TEST_F(PolicyTest, EveryNumberThatIsNotNamedFails) {
  std::set<int> named;
  for (const SyscallGroup& group : TenantPolicy().allowed) {
    for (std::string_view name : group.names)
      named.insert(seccomp_syscall_resolve_name(std::string(name).c_str()));
  }
  for (const ArgumentRule& rule : TenantPolicy().ruled)
    named.insert(seccomp_syscall_resolve_name(std::string(rule.name).c_str()));
  for (const AbsentCall& call : TenantPolicy().absent) {
    const int number = seccomp_syscall_resolve_name(std::string(call.name).c_str());
    named.insert(number >= 0 ? number : call.number);
    EXPECT_EQ(Ask(number >= 0 ? number : call.number), kEnosys) << call.name;
  }
  for (int number = 0; number < 600; ++number) {
    if (!named.contains(number)) {
      EXPECT_EQ(Ask(number), kEperm) << number;
    }
  }
}

TEST_F(PolicyTest, TheCallsThatMatterMost) {
  for (const long number : std::initializer_list<long>{
           SYS_ptrace, SYS_mount, SYS_umount2, SYS_unshare, SYS_setns, SYS_bpf, SYS_perf_event_open,
           SYS_userfaultfd, SYS_keyctl, SYS_init_module, SYS_kexec_load, SYS_process_vm_writev,
           SYS_pidfd_getfd, SYS_chroot, SYS_open_by_handle_at, SYS_name_to_handle_at,
           SYS_fanotify_init, SYS_syslog, SYS_kcmp, SYS_process_madvise, SYS_memfd_secret,
           SYS_mbind, SYS_shmget, SYS_memfd_create, SYS_quotactl, SYS_fsopen, SYS_fspick,
           SYS_move_mount, SYS_open_tree, SYS_mount_setattr, SYS_lookup_dcookie, SYS_seccomp,
           SYS_setuid, SYS_setgroups, SYS_pivot_root, SYS_fsconfig, SYS_fsmount,
           SYS_process_vm_readv, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_add_key,
           SYS_request_key, SYS_finit_module, SYS_delete_module, SYS_kexec_file_load, SYS_reboot,
           SYS_swapon, SYS_acct, SYS_sethostname, SYS_setdomainname, SYS_clock_settime,
           SYS_settimeofday, SYS_adjtimex, SYS_clock_adjtime, SYS_vhangup, SYS_io_uring_enter,
           SYS_io_uring_register, SYS_io_setup, SYS_move_pages, SYS_migrate_pages,
           SYS_set_mempolicy, SYS_remap_file_pages, SYS_msgget, SYS_semget, SYS_shmat, SYS_mq_open,
           SYS_capset, SYS_setxattr, SYS_splice, SYS_tee, SYS_vmsplice, SYS_inotify_init1,
           SYS_sched_setattr, SYS_ioprio_set, SYS_fanotify_mark,
           // Newer than the headers here: quotactl_fd, process_mrelease, statmount,
           // listmount, listns, open_tree_attr, file_setattr.
           443L, 448L, 457L, 458L, 470L, 467L, 469L}) {
    EXPECT_EQ(Ask(number), kEperm) << number;
  }
  EXPECT_EQ(Ask(SYS_clone, {SIGCHLD}), kAllow);
  for (uint64_t flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
                        CLONE_NEWPID, CLONE_NEWNET}) {
    EXPECT_EQ(Ask(SYS_clone, {flag | SIGCHLD}), kEperm) << flag;
  }
  EXPECT_EQ(Ask(SYS_socket, {AF_UNIX}), kAllow);
  for (uint64_t family = 0; family < 50; ++family) {
    if (family != AF_UNIX) {
      EXPECT_EQ(Ask(SYS_socket, {family}), kEperm) << family;
    }
  }
  EXPECT_EQ(Ask(SYS_ioctl, {0, TIOCSTI}), kEperm);
  EXPECT_EQ(Ask(SYS_ioctl, {0, 0x100000000ULL | TIOCSTI}), kEperm);
  EXPECT_EQ(Ask(SYS_ioctl, {0, TIOCLINUX}), kEperm);
  EXPECT_EQ(Ask(SYS_mknodat, {0, 0, S_IFCHR | 0600}), kEperm);
  EXPECT_EQ(Ask(SYS_setsockopt, {0, SOL_SOCKET, SO_PASSCRED}), kAllow);
  for (uint64_t option : {SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF,
                          SO_ATTACH_REUSEPORT_EBPF, SO_LOCK_FILTER}) {
    EXPECT_EQ(Ask(SYS_setsockopt, {0, SOL_SOCKET, option}), kEperm) << option;
    EXPECT_EQ(Ask(SYS_setsockopt, {0, SOL_SOCKET, 0x100000000ULL | option}), kEperm) << option;
  }
#if defined(__x86_64__)
  for (long number : {SYS_modify_ldt, SYS_iopl, SYS_ioperm, SYS_uselib, SYS_ustat, SYS__sysctl})
    EXPECT_EQ(Ask(number), kEperm) << number;
#endif
  EXPECT_EQ(Ask(SYS_prlimit64, {0}), kAllow);
  EXPECT_EQ(Ask(SYS_prlimit64, {17}), kEperm);
}

TEST_F(PolicyTest, ForeignArchitecturesAreKilled) {
  EXPECT_EQ(Ask(3, {}, kForeign), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
  for (long number = 0; number < 600; ++number) {
    EXPECT_EQ(Ask(0x40000000L | number), SECCOMP_RET_KILL_PROCESS) << number;  // x32
  }
#endif
}

TEST_F(PolicyTest, APolicyThatCannotBeExpressedIsAnError) {
  SeccompPolicy policy = TenantPolicy();
  policy.allowed.push_back({"a reason", {"no_such_call"}});
  EXPECT_FALSE(BuildSeccompFilter(policy).ok());
}

}  // namespace
}  // namespace auspex::runnerd
