// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/lab/kept.h"

#include <poll.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::cli::lab {
namespace {

constexpr uint64_t kMostOctets = 4096;
constexpr int kStepMs = 20;
// Above what `auspex daemon` may need for its four daemons.
constexpr int kPatienceMs = 25'000;

std::string ListPath(const std::string& directory) { return directory + "/processes"; }

// Whether the process still is one of the lab in `directory`. The command line of a process that
// has ended is empty.
bool IsOfLab(int pid, const std::string& directory) {
  std::ifstream file(Cat("/proc/", pid, "/cmdline"), std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str().find(directory + "/") != std::string::npos;
}

}  // namespace

absl::Status WriteProcesses(const std::string& directory, const std::vector<int>& processes) {
  std::string text;
  for (int pid : processes) text += Cat(pid, "\n");
  return WriteFileAtomically(ListPath(directory), text, 0600);
}

absl::Status StopKeptLab(const std::string& directory) {
  std::string name = directory;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  const absl::StatusOr<std::string> list = ReadFile(ListPath(name), kMostOctets);
  if (!list.ok())
    return absl::NotFoundError(
        Cat(name, " holds no lab that was kept: ", std::string(list.status().message())));
  std::istringstream numbers(*list);
  for (int pid; numbers >> pid;) {
    if (pid <= 1 || !IsOfLab(pid, name)) continue;
    kill(pid, SIGTERM);
    for (int waited = 0; waited < kPatienceMs && IsOfLab(pid, name); waited += kStepMs)
      poll(nullptr, 0, kStepMs);
    if (IsOfLab(pid, name)) kill(pid, SIGKILL);
  }
  return RemoveTree(name);
}

}  // namespace auspex::cli::lab
