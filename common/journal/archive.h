// SPDX-License-Identifier: AGPL-3.0-only
// JournalArchive: where an auditor reads a journal from, whole and in order: the folder that keyd
// writes, or a file that `auspex audit export` made. Neither needs keyd or its key. An archive may
// be read again and again, from one thread at a time; every pass goes through the files anew.
#ifndef AUSPEX_COMMON_JOURNAL_ARCHIVE_H_
#define AUSPEX_COMMON_JOURNAL_ARCHIVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/state.h"

namespace auspex {

// What a pass over the files shows of them, filled as far as the pass came.
struct ArchiveFacts {
  uint64_t segments = 0;     // that were begun; an export counts as one
  uint64_t octets = 0;       // of all files of the journal
  uint64_t torn_octets = 0;  // what a crash left behind the last frame; the next start cuts it off
  std::string file;          // being read when the pass ended: a name in the folder, or the export
  JournalPosition place;     // where in it: the frame that was read last, or the faulty one
  bool in_header = false;    // the fault is in the file's head: `place` says nothing
};

class JournalArchive {
 public:
  using Visit = std::function<void(const JournalFrame&)>;
  struct Visitor {
    std::function<void()> begin;  // the state knows the journal's id and the tree before the files
    Visit record, checkpoint;     // called after the state took the frame
  };

  virtual ~JournalArchive() = default;
  // What it is called in reports: the path that it was opened with.
  const std::string& name() const { return name_; }
  // Reads all of it into `state`, which must be fresh; functions of `visitor` may be empty. DATA_LOSS at the first fault, whose place is
  // then in `facts`; NOT_FOUND when there is no journal; errors of the files as they are.
  virtual absl::Status Read(JournalState& state, const Visitor& visitor,
                            ArchiveFacts& facts) const = 0;
  // The note that keyd keeps beside the segments as its newest, octet for octet; empty when there
  // is none. Ask before Read: keyd may be writing.
  virtual absl::StatusOr<std::string> LooseNote() const = 0;

 protected:
  explicit JournalArchive(std::string name) : name_(std::move(name)) {}

 private:
  const std::string name_;
};

// The file in the folder that holds the newest signed checkpoint.
inline constexpr char kLooseNoteName[] = "checkpoint";

// A folder of segments. Opens nothing yet.
std::unique_ptr<JournalArchive> OpenJournalFolder(std::string folder);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_ARCHIVE_H_
