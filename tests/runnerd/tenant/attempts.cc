// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/runnerd/tenant/attempts.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string g_json = "{\"payload\":{";

// One line of the findings: the name and whether the thing worked, with errno when it did not.
void Note(const char* name, bool worked) {
  int error = errno;
  if (g_json.back() != '{') g_json += ",";
  g_json += std::string("\"") + name + "\":\"" +
            (worked ? "WORKED" : "errno " + std::to_string(error)) + "\"";
}
void NoteText(const char* name, const std::string& text) {
  if (g_json.back() != '{') g_json += ",";
  g_json += std::string("\"") + name + "\":\"";
  for (char c : text) g_json += c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '?';
  g_json += "\"";
}

bool Opens(const char* path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  close(fd);
  return true;
}

long Raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  return syscall(number, a, b, c, d, e, f);
}

void Files(const char* host_secret) {
  Note("read_host_secret", Opens(host_secret, O_RDONLY));
  Note("read_shadow", Opens("/etc/shadow", O_RDONLY));
  Note("read_machine_id", Opens("/etc/machine-id", O_RDONLY));
  Note("read_home", Opens("/root", O_RDONLY) || Opens("/home", O_RDONLY));
  Note("read_var", Opens("/var", O_RDONLY));
  Note("read_sys", Opens("/sys/kernel", O_RDONLY));
  Note("read_parent_root", Opens("/../../../../etc/shadow", O_RDONLY));
  Note("write_usr", Opens("/usr/evil", O_WRONLY | O_CREAT));
  Note("write_package", Opens("/package/evil", O_WRONLY | O_CREAT));
  Note("write_etc", Opens("/etc/evil", O_WRONLY | O_CREAT));
  Note("write_proc_sys", Opens("/proc/sys/kernel/hostname", O_WRONLY));
  Note("write_core_pattern", Opens("/proc/sys/kernel/core_pattern", O_WRONLY));
  Note("write_own_proc", Opens("/proc/self/oom_score_adj", O_WRONLY));
  Note("sysrq", Opens("/proc/sysrq-trigger", O_WRONLY));
  Note("read_kmem", Opens("/dev/mem", O_RDONLY) || Opens("/dev/kmem", O_RDONLY) ||
                        Opens("/proc/kcore", O_RDONLY));
  Note("pseudo_terminal",
       Opens("/dev/ptmx", O_RDONLY | O_NOCTTY) || Opens("/dev/pts/ptmx", O_RDONLY | O_NOCTTY));
  Note("block_device", Opens("/dev/vda", O_RDONLY) || Opens("/dev/sda", O_RDONLY));
  Note("make_device", mknod("/unit/zero", S_IFCHR | 0600, 1 << 8 | 5) == 0);
  Note("init_memory", Opens("/proc/1/mem", O_RDWR));
  Note("init_report", Opens("/proc/1/fd/1", O_WRONLY));
  Note("chroot", chroot("/unit") == 0);
  Note("open_by_handle", Raw(SYS_open_by_handle_at, -100) == 0);
}

void Network() {
  Note("socket_inet", socket(2, SOCK_STREAM, 0) >= 0);
  Note("socket_inet6", socket(10, SOCK_DGRAM, 0) >= 0);
  Note("socket_netlink", socket(16, SOCK_RAW, 0) >= 0);
  Note("socket_packet", socket(17, SOCK_RAW, 0) >= 0);
  Note("socket_alg", socket(38, SOCK_SEQPACKET, 0) >= 0);
  Note("socket_vsock", socket(40, SOCK_STREAM, 0) >= 0);
  // The upper half of the family is ignored by the kernel, so a filter must ignore it too.
  Note("socket_inet_wide", Raw(SYS_socket, static_cast<long>(0x100000002ULL), SOCK_STREAM, 0) >= 0);
  Note("socket_unix", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
  // Abstract names belong to a network namespace.
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, "\0auspex-test-abstract", 21);
  Note("abstract_host_socket",
       connect(s, reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t) + 21) == 0);
  close(s);
}

void Kernel() {
  Note("mount", mount("none", "/unit", "tmpfs", 0, nullptr) == 0);
  Note("umount", umount2("/usr", MNT_DETACH) == 0);
  Note("remount_rw", mount("none", "/usr", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0);
  Note("pivot_root", Raw(SYS_pivot_root, 0, 0) == 0);
  Note("fsopen", Raw(SYS_fsopen, reinterpret_cast<long>("tmpfs"), 0) >= 0);
  Note("open_tree", Raw(SYS_open_tree, -100, reinterpret_cast<long>("/"), 1) >= 0);
  Note("unshare_user", unshare(CLONE_NEWUSER) == 0);
  Note("unshare_net", unshare(CLONE_NEWNET) == 0);
  Note("setns", setns(0, 0) == 0);
  const long child = Raw(SYS_clone, CLONE_NEWUSER | SIGCHLD);
  if (child == 0) _exit(0);
  Note("clone_user", child > 0);
  Note("clone3", Raw(SYS_clone3, 0, 0) >= 0);
  Note("ptrace", ptrace(PTRACE_ATTACH, 1, nullptr, nullptr) == 0);
  Note("process_vm_readv", Raw(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0) == 0);
  Note("pidfd_getfd", Raw(SYS_pidfd_getfd, 0, 0, 0) >= 0);
  Note("bpf", Raw(SYS_bpf, 0, 0, 0) >= 0);
  Note("perf", Raw(SYS_perf_event_open, 0, 0, -1, -1, 0) >= 0);
  Note("userfaultfd", Raw(SYS_userfaultfd, 0) >= 0);
  Note("io_uring", Raw(SYS_io_uring_setup, 1, 0) >= 0);
  Note("keyctl", Raw(SYS_keyctl, 0, -3, 0) >= 0);
  Note("add_key", Raw(SYS_add_key, 0, 0, 0, 0, 0) >= 0);
  Note("init_module", Raw(SYS_init_module, 0, 0, 0) == 0);
  Note("kexec", Raw(SYS_kexec_load, 0, 0, 0, 0) == 0);
  Note("reboot", Raw(SYS_reboot, 0, 0, 0, 0) == 0);
  Note("syslog", Raw(SYS_syslog, 3, 0, 0) >= 0);
  Note("memfd", Raw(SYS_memfd_create, reinterpret_cast<long>("x"), 0) >= 0);
  Note("shmget", Raw(SYS_shmget, 0, 1 << 30, 0600 | 01000) >= 0);
  Note("personality", personality(ADDR_NO_RANDOMIZE) >= 0);
  Note("sethostname", sethostname("x", 1) == 0);
  Note("setuid", setuid(0) == 0);
  Note("seccomp_off", prctl(PR_SET_SECCOMP, 0) == 0);
  Note("tiocsti", ioctl(0, TIOCSTI, "x") == 0);
  Note("tiocsti_wide", Raw(SYS_ioctl, 0, static_cast<long>(0x100000000ULL | TIOCSTI),
                           reinterpret_cast<long>("x")) == 0);
  Note("tioclinux", Raw(SYS_ioctl, 0, TIOCLINUX, reinterpret_cast<long>("\x02")) == 0);
  Note("kill_outside", kill(getppid() == 1 ? 99999 : getppid(), 0) == 0);
}

void Surroundings() {
  char host[65] = "";
  gethostname(host, sizeof host);
  NoteText("hostname", host);
  NoteText("ids", std::to_string(getuid()) + ":" + std::to_string(getgid()));
  std::string names;
  for (char** v = environ; *v != nullptr; ++v)
    names += std::string(*v).substr(0, std::string(*v).find('=')) + " ";
  NoteText("environment", names);
  std::string pids, fds;
  if (DIR* dir = opendir("/proc")) {
    while (dirent* entry = readdir(dir)) {
      if (isdigit(entry->d_name[0])) pids += std::string(entry->d_name) + " ";
    }
    closedir(dir);
  }
  NoteText("processes", pids);
  if (DIR* dir = opendir("/proc/self/fd")) {
    while (dirent* entry = readdir(dir)) {
      if (isdigit(entry->d_name[0]) && atoi(entry->d_name) != dirfd(dir))
        fds += std::string(entry->d_name) + " ";
    }
    closedir(dir);
  }
  NoteText("descriptors", fds);
  char here[256] = "";
  NoteText("folder", getcwd(here, sizeof here) != nullptr ? here : "");
}

}  // namespace

std::string AttemptEverything(const char* host_secret) {
  Surroundings();  // first: the attempts leave descriptors behind
  Files(host_secret);
  Network();
  Kernel();
  return g_json + "}}";
}
