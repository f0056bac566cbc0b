// SPDX-License-Identifier: AGPL-3.0-only
// JournalFolder and JournalFile: the few things that the journal asks of a disk, behind an
// interface so that tests can fail or end the world at the N-th of them and look at what would have
// survived. Implementations need no locking of their own for writes (one writer at a time, the
// journal sees to that), but reads may run beside a write of other octets.
#ifndef AUSPEX_KEYD_JOURNAL_FILE_H_
#define AUSPEX_KEYD_JOURNAL_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/source.h"

namespace auspex::keyd {

class JournalFile : public JournalSource {
 public:
  // All of `octets` at `offset`, or an error, after which any part of them may be there. May also
  // set aside zero octets behind them.
  virtual absl::Status WriteAt(uint64_t offset, std::string_view octets) = 0;
  // A hint: has the disk begin with octets that were just written, and does not wait for it. What
  // goes wrong shows in Sync.
  virtual void BeginWriteback(uint64_t /*offset*/, uint64_t /*octets*/) {}
  // Returns OK only when all that was written survives a crash of the machine.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
};

class JournalFolder {
 public:
  virtual ~JournalFolder() = default;
  // For errors and for people.
  virtual std::string path() const = 0;
  // The names of all files, in no order.
  virtual absl::StatusOr<std::vector<std::string>> List() const = 0;
  // NOT_FOUND when there is none of this name.
  virtual absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& name) const = 0;
  // An empty file of mode 0600, in place of any that was there.
  virtual absl::StatusOr<std::unique_ptr<JournalFile>> Create(const std::string& name) = 0;
  // Replaces `to` if it is there.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;
  // Returns OK only when names that were made, replaced or removed survive a crash.
  virtual absl::Status Sync() = 0;
};

// The folder at `path`, made with mode 0700 when there is none. Errors name the path.
absl::StatusOr<std::unique_ptr<JournalFolder>> OpenJournalFolder(const std::string& path);

// The newest signed note, beside the segments.
inline constexpr std::string_view kCheckpointFile = "checkpoint";
// Ends the names of files that are not whole yet; such a file is left by a crash only and means
// nothing.
inline constexpr std::string_view kUnfinishedSuffix = ".new";
// Makes or replaces `name` by a file with `content`, durable on return; readers and crashes see the
// old file or the new one, whole.
absl::Status PutWhole(JournalFolder& folder, const std::string& name, std::string_view content);
// The content of `name`; nullopt when there is no such file, DATA_LOSS when it is larger.
absl::StatusOr<std::optional<std::string>> ReadWhole(const JournalFolder& folder,
                                                     const std::string& name, size_t max_octets);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_FILE_H_
