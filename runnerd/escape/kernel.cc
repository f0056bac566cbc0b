// SPDX-License-Identifier: AGPL-3.0-only
// Attempts on the kernel: its large interfaces, its keys, its terminals, and the doors of other
// architectures.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

constexpr unsigned long kWide = 0x100000000;  // the kernel takes 32 bits of a request
int g_pty = 0;

// On any descriptor: the filter looks at the request, the kernel outside at the descriptor.
std::string Terminal(unsigned long request) {
  char octet = 'x';
  return Call(SYS_ioctl, 0, static_cast<long>(request), reinterpret_cast<long>(&octet));
}

std::string X32([[maybe_unused]] long number) {
#if defined(__x86_64__)
  return Call(0x40000000L | number);
#else
  return "SIGSYS";  // there is no such door
#endif
}

std::string Int80() {
#if defined(__x86_64__)
  long result = 20;  // getpid of i386
  asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result > 0 ? "worked" : ErrnoName(static_cast<int>(-result));
#else
  return "SIGSYS";
#endif
}

// What is made outlives its process; where it works it is removed again.
std::string Made(long id, long control_call) {
  const std::string outcome = Outcome(id >= 0);
  // semctl has the command third, the others second; IPC_RMID is 0, and so is the number of a set's
  // first semaphore.
  if (id >= 0) syscall(control_call, id, 0, 0, 0);
  return outcome;
}

constexpr Try kTries[] = {
    {"bpf", [](const Targets&) { return Call(SYS_bpf, 0, 0, 0); }},
    {"perf", [](const Targets&) { return Call(SYS_perf_event_open, 0, 0, -1, -1, 0); }},
    {"userfaultfd", [](const Targets&) { return Call(SYS_userfaultfd, 0); }},
    {"io-uring", [](const Targets&) { return Call(SYS_io_uring_setup, 1, 0); }},
    {"io-uring-enter", [](const Targets&) { return Call(SYS_io_uring_enter, -1, 0, 0, 0, 0, 0); }},
    {"keyctl", [](const Targets&) { return Call(SYS_keyctl, 0, -3, 0); }},
    {"add-key",
     [](const Targets&) {
       return Call(SYS_add_key, reinterpret_cast<long>("user"), reinterpret_cast<long>("escape"),
                   reinterpret_cast<long>("x"), 1, -1);
     }},
    {"request-key",
     [](const Targets&) {
       return Call(SYS_request_key, reinterpret_cast<long>("user"),
                   reinterpret_cast<long>("escape-none"), 0, 0);
     }},
    {"init-module", [](const Targets&) { return Call(SYS_init_module, 0, 0, 0); }},
    {"finit-module", [](const Targets&) { return Call(SYS_finit_module, -1, 0, 0); }},
    {"kexec-load", [](const Targets&) { return Call(SYS_kexec_load, 0, ~0L, 0, 0); }},
    {"reboot", [](const Targets&) { return Call(SYS_reboot, 0, 0, 0, 0); }},
    {"swapon", [](const Targets&) { return Call(SYS_swapon, 0, 0); }},
    {"quotactl", [](const Targets&) { return Call(SYS_quotactl, 0, 0, 0, 0); }},
    {"acct", [](const Targets&) { return Call(SYS_acct, reinterpret_cast<long>("/")); }},
    {"syslog", [](const Targets&) { return Call(SYS_syslog, 10, 0, 0); }},
    {"set-clock", [](const Targets&) { return Call(SYS_clock_settime, 0, 0); }},
    {"fanotify", [](const Targets&) { return Call(SYS_fanotify_init, 0, 0); }},
    {"inotify", [](const Targets&) { return Call(SYS_inotify_init1, 0); }},
    {"memfd",
     [](const Targets&) { return Call(SYS_memfd_create, reinterpret_cast<long>("escape"), 0); }},
    {"memfd-secret", [](const Targets&) { return Call(447, 0); }},
    {"sysv-memory",
     [](const Targets&) { return Made(syscall(SYS_shmget, 0, 4096, 0600 | 01000), SYS_shmctl); }},
    {"sysv-messages",
     [](const Targets&) { return Made(syscall(SYS_msgget, 0, 0600 | 01000), SYS_msgctl); }},
    {"sysv-semaphores",
     [](const Targets&) { return Made(syscall(SYS_semget, 0, 1, 0600 | 01000), SYS_semctl); }},
    {"posix-messages",
     [](const Targets&) {
       const long name = reinterpret_cast<long>("auspex-escape");
       const std::string outcome = Call(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, 0);
       syscall(SYS_mq_unlink, name);
       return outcome;
     }},
    {"no-randomization",
     [](const Targets&) { return Outcome(personality(ADDR_NO_RANDOMIZE) >= 0); }},
    {"second-filter", [](const Targets&) { return Call(SYS_seccomp, 2, 0, 0); }},
    {"filter-off", [](const Targets&) { return Outcome(prctl(PR_SET_SECCOMP, 2, 0) == 0); }},
#if defined(__x86_64__)
    {"modify-ldt", [](const Targets&) { return Call(SYS_modify_ldt, 0, 0, 0); }},
    {"iopl", [](const Targets&) { return Call(SYS_iopl, 0); }},
#else
    {"modify-ldt", [](const Targets&) { return std::string("EPERM"); }},
    {"iopl", [](const Targets&) { return std::string("EPERM"); }},
#endif
    {"tiocsti", [](const Targets&) { return Terminal(TIOCSTI); }},
    {"tiocsti-wide", [](const Targets&) { return Terminal(kWide | TIOCSTI); }},
    {"tioclinux", [](const Targets&) { return Terminal(TIOCLINUX); }},
    {"tioclinux-wide", [](const Targets&) { return Terminal(kWide | TIOCLINUX); }},
    {"open-terminal-master",
     [](const Targets&) {
       const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
       return Outcome(master >= 0 && ioctl(master, TIOCGPTN, &g_pty) == 0);
     }},
    {"x32-getpid", [](const Targets&) { return X32(39); }},
    {"x32-ptrace", [](const Targets&) { return X32(521); }},
    {"int-80", [](const Targets&) { return Int80(); }},
};

}  // namespace

std::span<const Try> KernelTries() { return kTries; }

}  // namespace auspex::escape
