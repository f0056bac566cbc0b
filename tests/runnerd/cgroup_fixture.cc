// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/runnerd/cgroup_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "common/base/cat.h"

namespace auspex::runnerd {

std::string UnitsFolder(const CgroupTree& tree, const std::string& state_dir) {
  return Cat(tree.base(), "/", ReadWhole(Cat(state_dir, "/", kUnitsNameFile)));
}

std::vector<std::string> UnitsIn(const std::string& units_folder) {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(units_folder, missing)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  return names;
}

Process StartIn(const UnitCgroup& cgroup, const std::vector<std::string>& arguments) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  auto process = Process::Start(arguments, {null.get(), null.get(), null.get()}, cgroup.fd());
  if (!process.ok()) {
    ADD_FAILURE() << process.status();
    std::abort();
  }
  return *std::move(process);
}

Process SpinIn(const UnitCgroup& cgroup) {
  return StartIn(cgroup, {"/bin/sh", "-c", "while :; do :; done"});
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace auspex::runnerd
