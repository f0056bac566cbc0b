// SPDX-License-Identifier: AGPL-3.0-only
// Attempts on files: what is the host's, what is another unit's, what must not be written.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "runnerd/escape/attempt.h"

namespace auspex::escape {
namespace {

std::string Opens(const std::string& path, int flags = O_RDONLY) {
  if (path.empty()) return "no-target";
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return Outcome(fd >= 0);
}

// A file without a name, so that nothing is left where it works.
std::string WritesIn(const char* folder) { return Opens(folder, O_TMPFILE | O_WRONLY); }

// Variables that no unit is given (runnerd/sandbox_arguments.cc, runnerd/executor_call.cc).
std::string ForeignEnvironment() {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string name(*variable, strcspn(*variable, "="));
    bool known = name.rfind("AUSPEXAI_", 0) == 0;
    for (const char* given : {"PATH", "LANG", "HOME", "TMPDIR", "PWD"}) known |= name == given;
    if (!known) return "worked";
  }
  return "absent";
}

// Descriptors from above; the first three are a unit's, one is this attempt's report.
std::string InheritedDescriptors() {
  int beyond = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) ++beyond;
  }
  return beyond > 1 ? "worked" : "absent";
}

struct Handle {
  file_handle head;
  char octets[MAX_HANDLE_SZ];
};

std::string NameToHandle(const Targets&) {
  Handle handle{};
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  return Outcome(name_to_handle_at(AT_FDCWD, "/etc", &handle.head, &mount, 0) == 0);
}

std::string OpenByHandle(const Targets&) {
  Handle handle{};
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  (void)name_to_handle_at(AT_FDCWD, "/etc", &handle.head, &mount, 0);
  const int etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return Outcome(open_by_handle_at(etc, &handle.head, O_PATH) >= 0);
}

std::string MakeDevice(const Targets& targets, mode_t type) {
  const std::string path = targets.scratch() + "/escape-device";
  const bool made = mknod(path.c_str(), type | 0600, makedev(1, 5)) == 0;
  const std::string outcome = Outcome(made);
  unlink(path.c_str());
  return outcome;
}

std::string OtherProcesses(const Targets&) {
  // Processes of a sandbox are its init, this program and this attempt.
  int seen = 0;
  if (DIR* proc = opendir("/proc")) {
    while (const dirent* entry = readdir(proc)) seen += atoi(entry->d_name) > 0 ? 1 : 0;
    closedir(proc);
  }
  return seen > 3 ? "worked" : "absent";
}

constexpr Try kTries[] = {
    {"read-key-folder", [](const Targets& t) { return Opens(t.Get("key-folder")); }},
    {"read-database", [](const Targets& t) { return Opens(t.Get("database")); }},
    {"read-packages", [](const Targets& t) { return Opens(t.Get("packages")); }},
    {"read-configuration", [](const Targets& t) { return Opens(t.Get("configuration")); }},
    {"read-home", [](const Targets& t) { return Opens(t.Get("home")); }},
    {"read-machine-id", [](const Targets&) { return Opens("/etc/machine-id"); }},
    {"read-shadow", [](const Targets&) { return Opens("/etc/shadow"); }},
    {"read-above-root", [](const Targets&) { return Opens("/../../../../../etc/shadow"); }},
    {"read-var", [](const Targets&) { return Opens("/var"); }},
    {"read-sys", [](const Targets&) { return Opens("/sys/kernel"); }},
    {"read-environment", [](const Targets&) { return ForeignEnvironment(); }},
    {"read-init-environment", [](const Targets&) { return Opens("/proc/1/environ"); }},
    {"read-init-root", [](const Targets&) { return Opens("/proc/1/root/etc/passwd"); }},
    {"write-init-memory", [](const Targets&) { return Opens("/proc/1/mem", O_RDWR); }},
    {"write-init-report", [](const Targets&) { return Opens("/proc/1/fd/1", O_WRONLY); }},
    {"inherited-descriptors", [](const Targets&) { return InheritedDescriptors(); }},
    {"see-other-processes", OtherProcesses},
    {"write-root", [](const Targets&) { return WritesIn("/"); }},
    {"write-usr", [](const Targets&) { return WritesIn("/usr"); }},
    {"write-etc", [](const Targets&) { return WritesIn("/etc"); }},
    {"write-dev", [](const Targets&) { return Opens("/dev/auspex-escape", O_WRONLY | O_CREAT); }},
    {"write-package", [](const Targets&) { return Opens("/proc/self/exe", O_WRONLY); }},
    {"write-hostname", [](const Targets&) { return Opens("/proc/sys/kernel/hostname", O_WRONLY); }},
    {"write-core-pattern",
     [](const Targets&) { return Opens("/proc/sys/kernel/core_pattern", O_WRONLY); }},
    {"write-sysrq", [](const Targets&) { return Opens("/proc/sysrq-trigger", O_WRONLY); }},
    {"write-oom-score", [](const Targets&) { return Opens("/proc/self/oom_score_adj", O_WRONLY); }},
    {"write-cgroup", [](const Targets& t) { return Opens(t.Get("cgroup"), O_WRONLY); }},
    {"read-kernel-memory", [](const Targets&) { return Opens("/proc/kcore"); }},
    {"read-memory-device", [](const Targets&) { return Opens("/dev/mem"); }},
    {"make-character-device", [](const Targets& t) { return MakeDevice(t, S_IFCHR); }},
    {"make-block-device", [](const Targets& t) { return MakeDevice(t, S_IFBLK); }},
    {"name-to-handle", NameToHandle},
    {"open-by-handle", OpenByHandle},
};

}  // namespace

std::span<const Try> FileTries() { return kTries; }

}  // namespace auspex::escape
