// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/seccomp_policy.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

namespace auspex::runnerd {
namespace {

constexpr uint64_t kInt = 0xffffffff;
// Every namespace flag that clone(2) can carry. CLONE_NEWTIME lies in the signal's octet and only
// clone3 takes it.
constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

SeccompPolicy MakePolicy() {
  SeccompPolicy policy;
  policy.allowed = {
      {"memory of the own process: allocators, loaders, JITs",
       {"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore", "mlock",
        "mlock2", "munlock", "mlockall", "munlockall", "membarrier"}},
      {"reading and writing open files", {"read",
                                          "write",
                                          "readv",
                                          "writev",
                                          "pread64",
                                          "pwrite64",
                                          "preadv",
                                          "pwritev",
                                          "preadv2",
                                          "pwritev2",
                                          "lseek",
                                          "close",
                                          "close_range",
                                          "dup",
                                          "dup2",
                                          "dup3",
                                          "fsync",
                                          "fdatasync",
                                          "sync_file_range",
                                          "ftruncate",
                                          "fallocate",
                                          "fadvise64",
                                          "readahead",
                                          "flock",
                                          "fcntl",
                                          "sendfile",
                                          "copy_file_range"}},
      {"names in the file system; what they reach is decided by the mounts",
       {"open",       "openat",     "openat2",   "creat",    "stat",      "fstat",     "lstat",
        "newfstatat", "statx",      "statfs",    "fstatfs",  "access",    "faccessat", "faccessat2",
        "readlink",   "readlinkat", "getcwd",    "chdir",    "fchdir",    "getdents",  "getdents64",
        "mkdir",      "mkdirat",    "rmdir",     "unlink",   "unlinkat",  "rename",    "renameat",
        "renameat2",  "link",       "linkat",    "symlink",  "symlinkat", "truncate",  "chmod",
        "fchmod",     "fchmodat",   "chown",     "fchown",   "lchown",    "fchownat",  "umask",
        "utime",      "utimes",     "futimesat", "utimensat"}},
      {"extended attributes: read by the file tools; writing is decided by the mounts",
       {"getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr"}},
      {"own descriptors of events and pipes",
       {"pipe", "pipe2", "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1",
        "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd",
        "signalfd4", "timerfd_create", "timerfd_settime", "timerfd_gettime"}},
      {"sockets that are open: only socket and socketpair (ruled below) make one",
       {"bind", "connect", "listen", "accept", "accept4", "shutdown", "getsockname", "getpeername",
        "getsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg"}},
      {"processes and threads of the own sandbox; clone is ruled below",
       {"fork",
        "vfork",
        "execve",
        "execveat",
        "exit",
        "exit_group",
        "wait4",
        "waitid",
        "getpid",
        "getppid",
        "gettid",
        "getpgid",
        "getpgrp",
        "setpgid",
        "getsid",
        "setsid",
        "set_tid_address",
        "set_robust_list",
        "get_robust_list",
        "futex",
        "futex_waitv",
        "rseq",
        "restart_syscall",
        "sched_yield",
        "arch_prctl"}},
      {"signals, which cannot leave the process namespace",
       {"kill", "tkill", "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
        "rt_sigsuspend", "rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
        "sigaltstack", "pause", "alarm"}},
      {"who am I; changing it needs capabilities that nobody has",
       {"getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget",
        "uname"}},
      {"time",
       {"time", "gettimeofday", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
        "times", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime",
        "timer_getoverrun", "timer_delete"}},
      {"own resource use and scheduling; limits can only be lowered",
       {"getrlimit", "setrlimit", "getrusage", "sysinfo", "getcpu", "getpriority", "setpriority",
        "sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_getparam",
        "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval"}},
      {"random octets", {"getrandom"}},
      {"giving up more rights",
       {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}},
  };
  policy.ruled = {
      {"clone", 0, kNamespaceFlags, {0}, "threads and children, but no new namespace"},
      {"socket",
       0,
       kInt,
       {AF_UNIX},
       "no family that the kernel parses packets of (inet, netlink, packet, vsock, alg)"},
      {"socketpair", 0, kInt, {AF_UNIX}, "pairs for parent and child"},
      {"setsockopt",
       2,
       kInt,
       {SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE,
        SO_LINGER, SO_PASSCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO},
       "buffers, times and credentials; nothing that hands the kernel a filter program to compile "
       "(SO_ATTACH_FILTER and its kin)"},
      {"ioctl",
       1,
       kInt,
       {TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO, FIOCLEX,
        FIONCLEX},
       "isatty, non-blocking, close-on-exec; nothing that types into a terminal (TIOCSTI, "
       "TIOCLINUX) or talks to a driver"},
      {"prctl",
       0,
       kInt,
       {PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE,
        PR_GET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ,
        PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE,
        PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_VMA},
       "names, death signals and giving up rights"},
      {"personality",
       0,
       kInt,
       {0, kInt},
       "asking, and the plain one; nothing that switches address randomisation off"},
      {"prlimit64", 0, kInt, {0}, "the own limits only"},
      {"mknod", 1, S_IFMT, {S_IFIFO, S_IFREG, 0}, "FIFOs and files, no devices"},
      {"mknodat", 2, S_IFMT, {S_IFIFO, S_IFREG, 0}, "FIFOs and files, no devices"},
  };
  policy.absent = {
      {"clone3", -1,
       "its flags lie behind a pointer that a filter cannot read; C libraries fall back on clone"},
      {"fchmodat2", 452, "newer than the oldest kernel supported; falls back on fchmodat"},
      {"map_shadow_stack", 453, "probed by newer C libraries"},
      {"mseal", 462, "probed by newer C libraries"},
      {"set_mempolicy_home_node", 450, "probed by numerical libraries"},
      {"io_uring_setup", 425, "large attack surface; libraries fall back on epoll and threads"},
  };
  return policy;
}

}  // namespace

const SeccompPolicy& TenantPolicy() {
  static const SeccompPolicy policy = MakePolicy();
  return policy;
}

const SeccompPolicy& DevicePolicy() {
  static const SeccompPolicy policy = [] {
    SeccompPolicy with_devices = TenantPolicy();
    // The second octet of a request is its driver's letter. Terminals have 'T' and get nothing more.
    constexpr uint64_t kLetter = 0xff00;
    with_devices.ruled.push_back(
        {"ioctl",
         1,
         kLetter,
         {'F' << 8, 0, 'K' << 8, 'd' << 8},
         "NVIDIA ('F'; its unified memory has none), AMD's compute ('K') and graphics ('d')"});
    return with_devices;
  }();
  return policy;
}

}  // namespace auspex::runnerd
