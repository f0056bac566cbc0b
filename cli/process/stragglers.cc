// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/process/stragglers.h"

#include <dirent.h>
#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <vector>

#include "common/base/cat.h"

namespace auspex::cli {
namespace {

constexpr int kRounds = 200;
constexpr int kRoundMs = 10;

// Direct children of this process, those adopted as subreaper included.
std::vector<pid_t> OwnChildren() {
  std::vector<pid_t> out;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return out;
  while (const dirent* entry = readdir(tasks)) {
    if (entry->d_name[0] == '.') continue;
    std::ifstream children(Cat("/proc/self/task/", entry->d_name, "/children"));
    pid_t pid = 0;
    while (children >> pid) out.push_back(pid);
  }
  closedir(tasks);
  return out;
}

}  // namespace

void KillStragglers() {
  // Killing a process may hand its own children to us: again until there are none.
  for (int round = 0; round < kRounds; ++round) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<pid_t> left = OwnChildren();
    if (left.empty()) return;
    for (pid_t pid : left) kill(pid, SIGKILL);
    poll(nullptr, 0, kRoundMs);
  }
}

}  // namespace auspex::cli
