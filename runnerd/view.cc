// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/view.h"

#include <dirent.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ipc/neighbour_view.h"
#include "runnerd/host_places.h"

namespace auspex::runnerd {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// The folder of a file that the owner edits. Editors replace a file by another, so it is the folder
// that stays; but a whole home is not shown for the sake of one file.
void ShowConfig(const std::string& file, ViewRules& rules) {
  rules.read_only.push_back(file);
  const std::string folder = ParentOf(file);
  const char* home = std::getenv("HOME");
  if (folder != "/" && (home == nullptr || !Cat(home, "/").starts_with(folder + "/")))
    rules.read_only.push_back(folder);
}

}  // namespace

absl::StatusOr<ViewRules> ViewOfHost(const Config& config, const Layout& layout,
                                     std::vector<std::string> also) {
  ViewRules rules;
  rules.read_only = std::move(also);
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/sys",
                           "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"}) {
    rules.read_only.emplace_back(path);
  }
  if (kHasSystemTree) rules.read_only.emplace_back(kSystemTree);
  for (const std::string& file : layout.config_files()) {
    ShowConfig(file, rules);
    // The owner's own link, to a folder under version control say.
    if (char* target = ::realpath(file.c_str(), nullptr); target != nullptr) {
      if (file != target) ShowConfig(target, rules);
      ::free(target);
    }
  }
  std::error_code unmade;  // then there is nothing to show
  std::filesystem::create_directories(layout.data_dir(), unmade);
  for (const std::string& folder :
       {layout.data_dir(), config.provisioning_dir, config.models_store_dir}) {
    if (!folder.empty()) rules.read_only.push_back(folder);
  }
  rules.covered = {ParentOf(layout.StateDir("runnerd")), ParentOf(layout.RunDir("runnerd"))};
  rules.read_write = {layout.StateDir("runnerd"), layout.RunDir("runnerd")};
  RETURN_IF_ERROR(ShowNeighbour(layout, "keyd", "result", rules));
  RETURN_IF_ERROR(ShowNeighbour(layout, "stated", "run", rules));
  rules.devices = {"kfd", "dri"};
  constexpr std::string_view kDev = "/dev/";
  for (const std::string& device : config.gpu_devices)
    rules.devices.push_back(device.substr(kDev.size()));
  const std::unique_ptr<DIR, int (*)(DIR*)> list(::opendir("/dev"), ::closedir);
  while (list != nullptr) {
    const dirent* entry = ::readdir(list.get());
    if (entry == nullptr) break;
    if (std::string_view(entry->d_name).starts_with("nvidia"))
      rules.devices.emplace_back(entry->d_name);
  }
  return rules;
}

}  // namespace auspex::runnerd
