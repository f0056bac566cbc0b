// SPDX-License-Identifier: AGPL-3.0-only
// MeasureHost: what capabilities.h says about this machine.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/cat.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/ids/ids.h"
#include "runnerd/capabilities.h"

namespace auspex::runnerd {
namespace {

constexpr size_t kMaxModels = 256;
constexpr size_t kMaxModelFiles = 1000;

// Names in a folder, sorted, at most `limit`.
std::vector<std::string> List(const std::string& folder, size_t limit) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> list(opendir(folder.c_str()), closedir);
  while (list != nullptr && names.size() < limit) {
    const dirent* entry = readdir(list.get());
    if (entry == nullptr) break;
    if (std::string_view name = entry->d_name; name != "." && name != "..")
      names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "MemTotal:  12345 kB" in GiB.
std::optional<double> MemoryLine(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + name.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t kilobytes = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), kilobytes).ec != std::errc())
    return std::nullopt;
  return static_cast<double>(kilobytes) / 1048576.0;
}

bool Opens(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)).valid();
}

bool IsNvidiaDevice(std::string_view name) {
  constexpr std::string_view kPrefix = "nvidia";
  return name.size() > kPrefix.size() && name.starts_with(kPrefix) &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

bool IsUnified(const std::string& root) {
  auto model = ReadFile(Cat(root, "/proc/device-tree/model"), 4096);
  if (!model.ok()) return false;
  std::transform(model->begin(), model->end(), model->begin(),
                 [](unsigned char c) { return static_cast<char>(tolower(c)); });
  for (const char* word : {"jetson", "tegra", "orin", "xavier"}) {
    if (model->find(word) != std::string::npos) return true;
  }
  return false;
}

std::optional<double> AmdVram(const std::string& root) {
  for (const std::string& card : List(Cat(root, "/sys/class/drm"), 64)) {
    if (!card.starts_with("card")) continue;
    auto text = ReadFile(Cat(root, "/sys/class/drm/", card, "/device/mem_info_vram_total"), 64);
    uint64_t octets = 0;
    if (text.ok() &&
        std::from_chars(text->data(), text->data() + text->size(), octets).ec == std::errc()) {
      return static_cast<double>(octets) / 1e9;
    }
  }
  return std::nullopt;
}

// Only names that are model ids, so no ".partial" of a running fetch and nothing that climbs.
std::map<std::string, uint64_t> Models(const std::string& store) {
  std::map<std::string, uint64_t> models;
  for (const std::string& name : List(store, kMaxModels)) {
    if (!ModelId::Parse(name).ok() || name.ends_with(".partial")) continue;
    uint64_t octets = 0;
    bool any = false;
    for (const std::string& file : List(Cat(store, "/", name), kMaxModelFiles)) {
      struct stat info;
      if (lstat(Cat(store, "/", name, "/", file).c_str(), &info) != 0 || !S_ISREG(info.st_mode))
        continue;
      any = true;
      octets += static_cast<uint64_t>(info.st_size);
    }
    if (any) models.emplace(name, octets);
  }
  return models;
}

}  // namespace

HostFacts MeasureHost(const std::string& root, const std::string& models_dir) {
  HostFacts facts;
  utsname name{};
  if (uname(&name) == 0) facts.arch = name.machine;
  if (auto text = ReadFile(Cat(root, "/proc/meminfo"), 64 * 1024); text.ok()) {
    facts.ram_total_gb = MemoryLine(*text, "MemTotal:");
    facts.ram_available_gb = MemoryLine(*text, "MemAvailable:");
  }
  if (long online = sysconf(_SC_NPROCESSORS_ONLN); online > 0)
    facts.cpu_count = static_cast<int>(online);
  for (const std::string& device : List(Cat(root, "/dev"), 4096)) {
    if (IsNvidiaDevice(device) && Opens(Cat(root, "/dev/", device))) ++facts.nvidia;
  }
  facts.amd = Opens(Cat(root, "/dev/kfd"));
  facts.unified_memory = IsUnified(root);
  if (facts.amd) facts.amd_vram_gb = AmdVram(root);
  if (!models_dir.empty()) facts.models = Models(models_dir);
  return facts;
}

}  // namespace auspex::runnerd
