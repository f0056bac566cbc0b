// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/memory_journal.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/cat.h"

namespace auspex::keyd {

class MemoryJournalFolder::File : public JournalFile {
 public:
  explicit File(std::shared_ptr<Content> content) : content_(std::move(content)) {}

  absl::StatusOr<uint64_t> Size() const override {
    std::lock_guard lock(content_->mutex);
    return content_->octets.size();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    std::lock_guard lock(content_->mutex);
    const std::string& octets = content_->octets;
    if (offset >= octets.size()) return 0;
    const size_t n = std::min(out.size(), octets.size() - static_cast<size_t>(offset));
    std::memcpy(out.data(), octets.data() + offset, n);
    return n;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view octets) override {
    std::lock_guard lock(content_->mutex);
    std::string& all = content_->octets;
    if (all.size() < offset + octets.size()) all.resize(offset + octets.size());
    std::copy(octets.begin(), octets.end(), all.begin() + static_cast<ptrdiff_t>(offset));
    return absl::OkStatus();
  }

  absl::Status Sync() override { return absl::OkStatus(); }

  absl::Status Truncate(uint64_t size) override {
    std::lock_guard lock(content_->mutex);
    content_->octets.resize(size);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<Content> content_;
};

MemoryJournalFolder::MemoryJournalFolder(const Files& files) {
  for (const auto& [name, octets] : files) {
    auto content = std::make_shared<Content>();
    content->octets = octets;
    files_[name] = std::move(content);
  }
}

absl::StatusOr<std::vector<std::string>> MemoryJournalFolder::List() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, content] : files_) names.push_back(name);
  return names;
}

absl::StatusOr<std::unique_ptr<JournalFile>> MemoryJournalFolder::Open(
    const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = files_.find(name);
  if (found == files_.end()) return absl::NotFoundError(Cat("memory/", name, ": no such file"));
  return std::make_unique<File>(found->second);
}

absl::StatusOr<std::unique_ptr<JournalFile>> MemoryJournalFolder::Create(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto content = std::make_shared<Content>();
  files_[name] = content;
  return std::make_unique<File>(std::move(content));
}

absl::Status MemoryJournalFolder::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  auto node = files_.extract(from);
  if (node.empty()) return absl::NotFoundError(Cat("memory/", from, ": no such file"));
  files_[to] = std::move(node.mapped());
  return absl::OkStatus();
}

absl::Status MemoryJournalFolder::Remove(const std::string& name) {
  std::lock_guard lock(mutex_);
  files_.erase(name);
  return absl::OkStatus();
}

MemoryJournalFolder::Files MemoryJournalFolder::files() const {
  std::lock_guard lock(mutex_);
  Files out;
  for (const auto& [name, content] : files_) {
    std::lock_guard content_lock(content->mutex);
    out[name] = content->octets;
  }
  return out;
}

}  // namespace auspex::keyd
