// SPDX-License-Identifier: AGPL-3.0-only
// Attempts on processes and namespaces: looking into others, signalling them, making and entering
// namespaces, changing the root and who one is.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

char g_there[8] = "there";

// A child that waits to be attacked: the least protected process there is.
class Victim {
 public:
  Victim() : pid_(fork()) {
    if (pid_ == 0) {
      for (;;) pause();
    }
  }
  ~Victim() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

std::string Trace(const Targets&) {
  Victim victim;
  return Outcome(ptrace(PTRACE_ATTACH, victim.pid(), nullptr, nullptr) == 0);
}

std::string MoveMemory(long number) {
  Victim victim;
  char here[8] = "other";
  iovec local{here, sizeof here}, remote{g_there, sizeof g_there};
  return Call(number, victim.pid(), reinterpret_cast<long>(&local), 1,
              reinterpret_cast<long>(&remote), 1, 0);
}

std::string TakeDescriptor(const Targets&) {
  Victim victim;
  const long pidfd = syscall(SYS_pidfd_open, victim.pid(), 0);
  return Call(SYS_pidfd_getfd, pidfd, 2, 0);
}

// The init of a process namespace drops signals from inside for which it has no handler.
std::string SignalInit(int signal) {
  if (kill(1, signal) != 0) return ErrnoName(errno);
  usleep(20'000);
  return "unaffected";  // else nobody would be here to say it
}

std::string SignalHost(const Targets& targets) {
  const int pid = atoi(targets.Get("pid").c_str());
  if (pid <= 0) return "no-target";
  return Outcome(kill(pid, 0) == 0);
}

std::string CloneWith(unsigned long flag) {
  const long child = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return Outcome(child > 0);
}

std::string Clone3(unsigned long flag) {
  clone_args arguments{};
  arguments.flags = flag;
  arguments.exit_signal = SIGCHLD;
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  return Outcome(child > 0);
}

// Its failure does not matter: the call of the attempt is what is asked about, and outside this
// keeps the host's mounts out of it.
void OwnMounts() {
  (void)unshare(CLONE_NEWNS);
  (void)mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

std::string EnterNamespace(const char* kind) {
  const int ns = open(kind, O_RDONLY | O_CLOEXEC);
  return Outcome(setns(ns, 0) == 0);
}

std::string Pivot(const Targets& targets) {
  OwnMounts();
  const std::string root = targets.scratch() + "/escape-root";
  const std::string old = root + "/old";
  mkdir(root.c_str(), 0700);
  (void)mount("none", root.c_str(), "tmpfs", 0, nullptr);
  mkdir(old.c_str(), 0700);
  const std::string outcome = Call(SYS_pivot_root, reinterpret_cast<long>(root.c_str()),
                                   reinterpret_cast<long>(old.c_str()));
  return outcome;
}

std::string SetHostName(const Targets&) {
  (void)unshare(CLONE_NEWUTS);
  return Outcome(sethostname("escaped", 7) == 0);
}

constexpr Try kTries[] = {
    {"ptrace-attach", Trace},
    {"ptrace-init",
     [](const Targets&) { return Outcome(ptrace(PTRACE_SEIZE, 1, nullptr, nullptr) == 0); }},
    {"process-vm-readv", [](const Targets&) { return MoveMemory(SYS_process_vm_readv); }},
    {"process-vm-writev", [](const Targets&) { return MoveMemory(SYS_process_vm_writev); }},
    {"pidfd-open", [](const Targets&) { return Call(SYS_pidfd_open, getpid(), 0); }},
    {"pidfd-getfd", TakeDescriptor},
    {"kcmp", [](const Targets&) { return Call(SYS_kcmp, getpid(), 1, 0, 0, 0); }},
    {"stop-init", [](const Targets&) { return SignalInit(SIGSTOP); }},
    {"kill-init", [](const Targets&) { return SignalInit(SIGKILL); }},
    {"signal-host-process", SignalHost},
    {"unshare-user", [](const Targets&) { return Outcome(unshare(CLONE_NEWUSER) == 0); }},
    {"unshare-mount", [](const Targets&) { return Outcome(unshare(CLONE_NEWNS) == 0); }},
    {"unshare-pid", [](const Targets&) { return Outcome(unshare(CLONE_NEWPID) == 0); }},
    {"unshare-net", [](const Targets&) { return Outcome(unshare(CLONE_NEWNET) == 0); }},
    {"unshare-ipc", [](const Targets&) { return Outcome(unshare(CLONE_NEWIPC) == 0); }},
    {"unshare-uts", [](const Targets&) { return Outcome(unshare(CLONE_NEWUTS) == 0); }},
    {"unshare-cgroup", [](const Targets&) { return Outcome(unshare(CLONE_NEWCGROUP) == 0); }},
    {"unshare-time", [](const Targets&) { return Outcome(unshare(0x80) == 0); }},
    {"clone-user", [](const Targets&) { return CloneWith(CLONE_NEWUSER); }},
    {"clone-mount", [](const Targets&) { return CloneWith(CLONE_NEWNS); }},
    {"clone-pid", [](const Targets&) { return CloneWith(CLONE_NEWPID); }},
    {"clone-net", [](const Targets&) { return CloneWith(CLONE_NEWNET); }},
    {"clone-ipc", [](const Targets&) { return CloneWith(CLONE_NEWIPC); }},
    {"clone-uts", [](const Targets&) { return CloneWith(CLONE_NEWUTS); }},
    {"clone-cgroup", [](const Targets&) { return CloneWith(CLONE_NEWCGROUP); }},
    {"clone3-user", [](const Targets&) { return Clone3(CLONE_NEWUSER); }},
    {"clone3-mount", [](const Targets&) { return Clone3(CLONE_NEWNS); }},
    {"clone3-net", [](const Targets&) { return Clone3(CLONE_NEWNET); }},
    {"setns-net", [](const Targets&) { return EnterNamespace("/proc/self/ns/net"); }},
    {"setns-mount", [](const Targets&) { return EnterNamespace("/proc/1/ns/mnt"); }},
    {"setns-pidfd",
     [](const Targets&) {
       return Call(SYS_setns, syscall(SYS_pidfd_open, getppid(), 0), CLONE_NEWNET);
     }},
    {"mount",
     [](const Targets& t) {
       OwnMounts();
       return Outcome(mount("none", t.scratch().c_str(), "tmpfs", 0, nullptr) == 0);
     }},
    {"mount-bind",
     [](const Targets& t) {
       OwnMounts();
       return Outcome(mount("/usr", t.scratch().c_str(), nullptr, MS_BIND, nullptr) == 0);
     }},
    {"remount-proc-writable",
     [](const Targets&) {
       OwnMounts();
       return Outcome(mount("none", "/proc", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0);
     }},
    {"umount",
     [](const Targets&) {
       OwnMounts();
       return Outcome(umount2("/proc", MNT_DETACH) == 0);
     }},
    {"fsopen", [](const Targets&) { return Call(SYS_fsopen, reinterpret_cast<long>("tmpfs"), 0); }},
    {"fspick",
     [](const Targets&) { return Call(SYS_fspick, AT_FDCWD, reinterpret_cast<long>("/proc"), 0); }},
    {"fsconfig", [](const Targets&) { return Call(SYS_fsconfig, -1, 6, 0, 0, 0); }},
    {"fsmount", [](const Targets&) { return Call(SYS_fsmount, -1, 0, 0); }},
    {"open-tree",
     [](const Targets&) { return Call(SYS_open_tree, AT_FDCWD, reinterpret_cast<long>("/"), 1); }},
    {"move-mount",
     [](const Targets&) {
       return Call(SYS_move_mount, -1, reinterpret_cast<long>(""), -1, reinterpret_cast<long>(""),
                   4);
     }},
    {"mount-setattr",
     [](const Targets&) {
       uint64_t attributes[4] = {};
       OwnMounts();
       return Call(SYS_mount_setattr, AT_FDCWD, reinterpret_cast<long>("/"), 0,
                   reinterpret_cast<long>(attributes), sizeof attributes);
     }},
    {"pivot-root", Pivot},
    {"chroot", [](const Targets& t) { return Outcome(chroot(t.scratch().c_str()) == 0); }},
    {"set-host-name", SetHostName},
    {"become-root", [](const Targets&) { return Call(SYS_setuid, 0); }},
    {"set-groups", [](const Targets&) { return Call(SYS_setgroups, 0, 0); }},
    {"raise-limit", [](const Targets&) { return Call(SYS_prlimit64, getppid(), 7, 0, 0); }},
};

}  // namespace

std::span<const Try> ProcessTries() { return kTries; }

}  // namespace auspex::escape
