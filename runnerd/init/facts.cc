// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "runnerd/init/io.h"
#include "runnerd/init/landlock.h"
#include "runnerd/init/protocol.h"

namespace auspex::unit_init {
namespace {

struct Walls {
  // What could not be read counts as a missing wall.
  uint64_t capabilities = ~uint64_t{0};  // of all five sets together
  int no_new_privileges = 0;
  int seccomp = 0;  // 2: a filter
  int landlock = -1;
};
Walls g_walls;

// The text behind "\nNAME:\t"; null when it is not there.
const char* Field(const char* status, const char* name) {
  char key[24];
  snprintf(key, sizeof key, "\n%s:\t", name);
  const char* at = strstr(status, key);
  return at == nullptr ? nullptr : at + strlen(key);
}

unsigned long Namespace(const char* kind) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
  struct stat info {};
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

void LookAtOwnWalls(int landlock) {
  g_walls.landlock = landlock;
  char status[8192];
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? -1 : read(file, status, sizeof status - 1);
  if (file >= 0) close(file);
  if (size <= 0) return;
  status[size] = 0;
  uint64_t all = 0;
  for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    const char* at = Field(status, name);
    all |= at == nullptr ? ~uint64_t{0} : strtoull(at, nullptr, 16);
  }
  g_walls.capabilities = all;
  if (const char* at = Field(status, "NoNewPrivs")) g_walls.no_new_privileges = atoi(at);
  if (const char* at = Field(status, "Seccomp")) g_walls.seccomp = atoi(at);
}

bool WriteStarted(int fd) {
  char line[kMaxStartedLine];
  const int n = snprintf(
      line, sizeof line,
      "%s pid=%d uid=%u gid=%u no_new_privs=%d seccomp=%d caps=%llx landlock=%d user=%lu mnt=%lu "
      "pid_ns=%lu net=%lu ipc=%lu uts=%lu\n",
      kStarted, static_cast<int>(getpid()), getuid(), getgid(), g_walls.no_new_privileges,
      g_walls.seccomp, static_cast<unsigned long long>(g_walls.capabilities), g_walls.landlock,
      Namespace("user"), Namespace("mnt"), Namespace("pid"), Namespace("net"), Namespace("ipc"),
      Namespace("uts"));
  return n > 0 && static_cast<size_t>(n) < sizeof line && WriteText(fd, line);
}

const char* MissingWall() {
  if (getpid() != 1) return "process-namespace";
  if (getuid() != kSandboxUid || getgid() != kSandboxUid) return "user-namespace";
  if (g_walls.capabilities != 0) return "no-capabilities";
  if (g_walls.no_new_privileges != 1) return "no-new-privileges";
  if (g_walls.seccomp != 2) return "seccomp";
  if (g_walls.landlock != LandlockAbi()) return "landlock";
  return nullptr;
}

}  // namespace auspex::unit_init
