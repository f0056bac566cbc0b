// SPDX-License-Identifier: AGPL-3.0-only
// JournalSource: the octets of one segment of the journal, to be read at any place; a file or a
// text in memory. ReadAt may run beside a write of other octets and from any thread. Errors name
// the file.
#ifndef AUSPEX_COMMON_JOURNAL_SOURCE_H_
#define AUSPEX_COMMON_JOURNAL_SOURCE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex {

class JournalSource {
 public:
  virtual ~JournalSource() = default;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  // Fills as much of `out` as there is from `offset` on and returns how much that is; 0 at the end.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const = 0;
};

// What both the reader and keyd's writer do with a descriptor; `path` is for errors.
absl::StatusOr<uint64_t> SizeOfFd(int fd, const std::string& path);
absl::StatusOr<size_t> ReadFdAt(int fd, const std::string& path, uint64_t offset,
                                std::span<char> out);

// The regular file at `path`, for reading; a link as the last part of the path is refused.
absl::StatusOr<std::unique_ptr<JournalSource>> OpenJournalSource(const std::string& path);

class MemoryJournalSource : public JournalSource {
 public:
  explicit MemoryJournalSource(std::string content) : content_(std::move(content)) {}
  absl::StatusOr<uint64_t> Size() const override { return content_.size(); }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override;

 private:
  const std::string content_;
};

// The names of the segments in `folder`, in order; other files are left out. NOT_FOUND when there
// is no such folder.
absl::StatusOr<std::vector<std::string>> ListSegments(const std::string& folder);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_SOURCE_H_
