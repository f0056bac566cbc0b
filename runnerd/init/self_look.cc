// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/self_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "runnerd/init/io.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"

namespace auspex::unit_init {
namespace {

// The number of the internet's address family; only tried, to see it refused.
constexpr int kInternetFamily = 2;

char g_facts[16 * 1024];
size_t g_size = 0;

__attribute__((format(printf, 1, 2))) void Fact(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(g_facts + g_size, sizeof g_facts - g_size, format, arguments);
  va_end(arguments);
  if (n > 0 && g_size + static_cast<size_t>(n) < sizeof g_facts) g_size += static_cast<size_t>(n);
}

void StatusFacts() {
  char text[8192];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (size <= 0) return;
  text[size] = 0;
  for (const char* name :
       {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"}) {
    char key[24];
    snprintf(key, sizeof key, "\n%s:\t", name);
    const char* at = strstr(text, key);
    if (at == nullptr) continue;
    at += strlen(key);
    Fact("%s=%.*s\n", name, static_cast<int>(strcspn(at, "\n")), at);
  }
}

void NamespaceFacts() {
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"}) {
    char path[48], target[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    ssize_t n = readlink(path, target, sizeof target - 1);
    Fact("ns_%s=%.*s\n", kind, n > 0 ? static_cast<int>(n) : 0, target);
  }
}

// Names of a folder that `keep` accepts, joined with blanks.
template <typename Keep>
void ListFact(const char* fact, const char* folder, Keep keep) {
  Fact("%s=", fact);
  if (DIR* dir = opendir(folder)) {
    while (dirent* entry = readdir(dir)) {
      if (entry->d_name[0] != '.' && keep(dir, entry->d_name)) Fact("%s ", entry->d_name);
    }
    closedir(dir);
  } else {
    Fact("errno:%d", errno);
  }
  Fact("\n");
}

// "refused" or "possible" for something that must fail.
void TryFact(const char* fact, bool succeeded) {
  Fact("%s=%s\n", fact, succeeded ? "possible" : "refused");
}

bool CanCreate(const char* path) {
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  close(file);
  unlink(path);
  return true;
}

bool CanOpenSocket(int domain, int type) {
  int s = socket(domain, type | SOCK_CLOEXEC, 0);
  if (s < 0) return false;
  close(s);
  return true;
}

}  // namespace

int RunSelfLook() {
  Fact("pid=%d\nuid=%u\ngid=%u\n", static_cast<int>(getpid()), getuid(), getgid());
  StatusFacts();
  NamespaceFacts();
  char host[128] = "";
  gethostname(host, sizeof host - 1);
  Fact("hostname=%s\n", host);
  ListFact("processes", "/proc", [](DIR*, const char* name) {
    return isdigit(static_cast<unsigned char>(name[0])) != 0;
  });
  ListFact("descriptors", "/proc/self/fd",
           [](DIR* dir, const char* name) { return atoi(name) != dirfd(dir); });
  ListFact("root", "/", [](DIR*, const char*) { return true; });
  // /sys is not there, so the interfaces are asked from /proc; two header lines, then "  name:
  // ...".
  char net[4096];
  int file = open("/proc/net/dev", O_RDONLY | O_CLOEXEC);
  ssize_t size = file < 0 ? 0 : read(file, net, sizeof net - 1);
  if (file >= 0) close(file);
  net[size > 0 ? size : 0] = 0;
  Fact("interfaces=");
  for (char* line = strtok(net, "\n"); line != nullptr; line = strtok(nullptr, "\n")) {
    char* colon = strchr(line, ':');
    if (colon == nullptr) continue;
    *colon = 0;
    Fact("%s ", line + strspn(line, " "));
  }
  Fact("\n");
  TryFact("write_root", CanCreate("/auspex-look"));
  TryFact("write_usr", CanCreate("/usr/auspex-look"));
  TryFact("write_etc", CanCreate("/etc/auspex-look"));
  TryFact("write_dev", CanCreate("/dev/auspex-look"));
  int proc = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  TryFact("write_proc", proc >= 0);
  if (proc >= 0) close(proc);
  TryFact("write_unit", CanCreate("/unit/auspex-look"));
  TryFact("socket_inet", CanOpenSocket(kInternetFamily, SOCK_STREAM));
  TryFact("socket_netlink", CanOpenSocket(AF_NETLINK, SOCK_RAW));
  TryFact("new_user_namespace", unshare(CLONE_NEWUSER) == 0);
  TryFact("mount", mount("none", "/unit", "tmpfs", 0, nullptr) == 0);
  TryFact("ptrace", ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
  Fact("landlock=%d\n", EnterLandlock());  // last: it would answer for the others
  bool ok = WriteEnd(1, "exited", 0, kOutputOk, g_size) && WriteFully(1, g_facts, g_size);
  return ok ? 0 : 1;
}

}  // namespace auspex::unit_init
