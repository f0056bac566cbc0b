// SPDX-License-Identifier: AGPL-3.0-only
// JournalFile: the few things that the journal asks of a disk, behind an interface so that tests
// can fail the N-th of them and look at what would have survived. Implementations need no locking
// of their own for writes (one writer at a time, the journal sees to that), but ReadAt may run
// beside a write of other octets.
#ifndef AUSPEX_KEYD_JOURNAL_FILE_H_
#define AUSPEX_KEYD_JOURNAL_FILE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::keyd {

// The file's first octets: magic, version, random journal id, time of making. Their SHA-256 is the
// chain's first value.
inline constexpr size_t kJournalHeaderOctets = 48;
std::string MakeJournalHeader(int64_t time_micros);
// OK, or DATA_LOSS / FAILED_PRECONDITION (a version of the future) when `header` is no header of
// ours.
absl::Status CheckJournalHeader(std::string_view header);

class JournalFile {
 public:
  virtual ~JournalFile() = default;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  // Fills as much of `out` as there is from `offset` on and returns how much that is; 0 at the end.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const = 0;
  // All of `octets` at `offset`, or an error, after which any part of them may be there. May also
  // set aside zero octets behind them.
  virtual absl::Status WriteAt(uint64_t offset, std::string_view octets) = 0;
  // Returns OK only when all that was written survives a crash of the machine.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
};

// The file at `path`; when there is none, it is made with a header, atomically, mode 0600. Errors
// name the path.
absl::StatusOr<std::unique_ptr<JournalFile>> OpenJournalFile(const std::string& path,
                                                             int64_t time_micros);

// A journal in memory that starts with a header: for the self-test at start and for tests.
class MemoryJournalFile : public JournalFile {
 public:
  explicit MemoryJournalFile(std::string content) : content_(std::move(content)) {}
  absl::StatusOr<uint64_t> Size() const override;
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override;
  absl::Status WriteAt(uint64_t offset, std::string_view octets) override;
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(uint64_t size) override;
  std::string content() const;

 private:
  mutable std::mutex mutex_;
  std::string content_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_FILE_H_
