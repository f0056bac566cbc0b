// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/leftovers.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/cat.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "runnerd/process.h"

namespace auspex::runnerd {
namespace {

constexpr int kRounds = 20;
constexpr size_t kMaxCommandLine = 256 * 1024;

std::vector<pid_t> AllProcesses() {
  std::vector<pid_t> pids;
  std::unique_ptr<DIR, int (*)(DIR*)> list(opendir("/proc"), closedir);
  while (list != nullptr) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size() && pid != getpid())
      pids.push_back(pid);
  }
  return pids;
}

bool Belongs(pid_t pid, const struct stat& etc, const std::string& etc_folder) {
  struct stat info;
  if (stat(Cat("/proc/", pid, "/root/etc").c_str(), &info) == 0 && info.st_ino == etc.st_ino &&
      info.st_dev == etc.st_dev) {
    return true;
  }
  // bubblewrap's own process lives in the host's root; its argument is a whole word between NULs.
  const auto line = ReadFile(Cat("/proc/", pid, "/cmdline"), kMaxCommandLine);
  if (!line.ok()) return false;
  const std::string_view program = std::string_view(*line).substr(0, line->find('\0'));
  return program.ends_with("/bwrap") &&
         line->find(Cat('\0', etc_folder, '\0')) != std::string::npos;
}

}  // namespace

int EndLeftovers(const std::string& etc_folder) {
  struct stat etc;
  if (stat(etc_folder.c_str(), &etc) != 0) return 0;  // nothing was ever started here
  int killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    bool found = false;
    for (pid_t pid : AllProcesses()) {
      const UniqueFd pidfd = OpenPidfd(pid);
      // Looked at after the descriptor was opened, so it is this process that is killed.
      if (!pidfd || !Belongs(pid, etc, etc_folder)) continue;
      // Another user's, who can give a program any name and command line: not waited for, or a few
      // hundred of them would hold up every start for an hour.
      if (!SignalByFd(pidfd.get(), SIGKILL)) continue;
      found = true;
      ++killed;
      pollfd entry{pidfd.get(), POLLIN, 0};
      poll(&entry, 1, 1000);
    }
    if (!found) break;
  }
  if (killed > 0) LogWarning("leftovers_ended", {{"processes", killed}});
  return killed;
}

}  // namespace auspex::runnerd
