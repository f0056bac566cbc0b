// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/fault_folder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {
constexpr size_t kRoom = 2048;
constexpr uint64_t kSector = 512;
}  // namespace

absl::Status FaultyDisk::Count() {
  ++operations;
  const bool crashed = crash_at != 0 && operations >= crash_at;
  if (!crashed && operations != fail_at) return absl::OkStatus();
  return absl::InternalError("write journal: Input/output error");
}

MemoryJournalFolder::Files FaultyDisk::Written() const {
  std::lock_guard lock(mutex);
  MemoryJournalFolder::Files files;
  for (const auto& [name, node] : names) files[name] = node->written;
  return files;
}

MemoryJournalFolder::Files FaultyDisk::Durable() const {
  std::lock_guard lock(mutex);
  MemoryJournalFolder::Files files;
  for (const auto& [name, node] : durable_names) files[name] = node->durable;
  return files;
}

void FaultyDisk::Restart(const MemoryJournalFolder::Files& files) {
  std::lock_guard lock(mutex);
  operations = fail_at = crash_at = 0;
  names.clear();
  for (const auto& [name, octets] : files) {
    names[name] = std::make_shared<Node>(Node{octets, octets});
  }
  durable_names = names;
}

class FaultyFolder::File : public JournalFile {
 public:
  File(std::shared_ptr<FaultyDisk> disk, std::shared_ptr<FaultyDisk::Node> node)
      : disk_(std::move(disk)), node_(std::move(node)) {}

  absl::StatusOr<uint64_t> Size() const override {
    std::lock_guard lock(disk_->mutex);
    return node_->written.size();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    std::lock_guard lock(disk_->mutex);
    if (offset >= node_->written.size()) return 0;
    const size_t n = std::min(out.size(), node_->written.size() - static_cast<size_t>(offset));
    std::memcpy(out.data(), node_->written.data() + offset, n);
    return n;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view octets) override {
    std::lock_guard lock(disk_->mutex);
    const absl::Status status = disk_->Count();
    if (!status.ok()) {
      if (!disk_->short_write || disk_->crash_at != 0) return status;
      // At the end of a file any part; into room that is there whole sectors.
      uint64_t half = octets.size() / 2;
      if (offset < node_->written.size()) {
        const uint64_t sector = (offset + half) / kSector * kSector;
        half = sector > offset ? sector - offset : 0;
      }
      octets = octets.substr(0, half);
    }
    std::string& all = node_->written;
    // Room for what comes next, as the real one makes it in segments.
    const size_t end = static_cast<size_t>(offset) + octets.size();
    if (all.size() < end) all.resize(offset > 0 && status.ok() ? (end / kRoom + 1) * kRoom : end);
    std::copy(octets.begin(), octets.end(), all.begin() + static_cast<ptrdiff_t>(offset));
    return status;
  }

  absl::Status Sync() override {
    std::lock_guard lock(disk_->mutex);
    RETURN_IF_ERROR(disk_->Count());
    node_->durable = node_->written;
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    std::lock_guard lock(disk_->mutex);
    RETURN_IF_ERROR(disk_->Count());
    node_->written.resize(size);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<FaultyDisk> disk_;
  const std::shared_ptr<FaultyDisk::Node> node_;
};

absl::StatusOr<std::vector<std::string>> FaultyFolder::List() const {
  std::lock_guard lock(disk_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, node] : disk_->names) names.push_back(name);
  return names;
}

absl::StatusOr<std::unique_ptr<JournalFile>> FaultyFolder::Open(const std::string& name) const {
  std::lock_guard lock(disk_->mutex);
  const auto found = disk_->names.find(name);
  if (found == disk_->names.end()) return absl::NotFoundError(name);
  return std::make_unique<File>(disk_, found->second);
}

absl::StatusOr<std::unique_ptr<JournalFile>> FaultyFolder::Create(const std::string& name) {
  std::lock_guard lock(disk_->mutex);
  RETURN_IF_ERROR(disk_->Count());
  const auto node = std::make_shared<FaultyDisk::Node>();
  disk_->names[name] = node;
  return std::make_unique<File>(disk_, node);
}

absl::Status FaultyFolder::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(disk_->mutex);
  RETURN_IF_ERROR(disk_->Count());
  auto node = disk_->names.extract(from);
  if (node.empty()) return absl::NotFoundError(from);
  disk_->names[to] = std::move(node.mapped());
  return absl::OkStatus();
}

absl::Status FaultyFolder::Remove(const std::string& name) {
  std::lock_guard lock(disk_->mutex);
  RETURN_IF_ERROR(disk_->Count());
  disk_->names.erase(name);
  return absl::OkStatus();
}

absl::Status FaultyFolder::Sync() {
  std::lock_guard lock(disk_->mutex);
  RETURN_IF_ERROR(disk_->Count());
  disk_->durable_names = disk_->names;
  return absl::OkStatus();
}

}  // namespace auspex::keyd
