// SPDX-License-Identifier: AGPL-3.0-only
// Journal: the append-only record of everything that keyd signed or refused, a hash chain on disk
// (docs/formats/journal.md).
//
// Append returns only after the record is durable, and hands out a DurableRecord: the proof without
// which DurableSigner signs nothing. Threads that append at the same time share one write and one
// flush: the first becomes the leader, the others wait for it. After the first failure of the disk
// the journal is unusable until the process starts again: every later call is UNAVAILABLE. All
// methods are safe from any thread.
#ifndef AUSPEX_KEYD_JOURNAL_H_
#define AUSPEX_KEYD_JOURNAL_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/digest.h"
#include "keyd/journal_file.h"
#include "common/journal/record.h"
#include "keyd/journal_scanner.h"

namespace auspex::keyd {

// A record that is on disk. Only a Journal makes one.
class DurableRecord {
 public:
  uint64_t sequence() const { return sequence_; }
  Outcome outcome() const { return outcome_; }
  // What the record says was signed.
  const Digest32& digest() const { return digest_; }

 private:
  friend class Journal;
  DurableRecord(uint64_t sequence, Outcome outcome, const Digest32& digest)
      : sequence_(sequence), outcome_(outcome), digest_(digest) {}
  uint64_t sequence_;
  Outcome outcome_;
  Digest32 digest_;
};

class Journal {
 public:
  using Visitor = std::function<void(const JournalRecord&)>;
  struct Head {
    uint64_t records = 0;
    Digest32 chain{};
  };

  // Cuts off what was set aside behind the last record.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Reads the whole file once, showing each record to `visit`. An unfinished record at the end is
  // cut off (torn_octets says how much); any other damage is DATA_LOSS with the offset.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(std::unique_ptr<JournalFile> file,
                                                       const Visitor& visit);

  // Has `tell` called once, by the thread that meets the first failure of the disk. Set before the
  // first Append; it must not call back into the journal.
  void OnFailure(std::function<void()> tell) { on_failure_ = std::move(tell); }

  // Appends and waits until the record is durable. UNAVAILABLE when it could not be made so.
  absl::StatusOr<DurableRecord> Append(const JournalEntry& entry);

  // Shows the durable records from sequence number `first` (0 counts as 1) on, at most `limit` of
  // them (0: all), until `visit` returns false. The chain is checked again on the way: DATA_LOSS
  // when the file was changed under us.
  absl::Status List(uint64_t first, uint64_t limit,
                    const std::function<bool(const JournalRecord&)>& visit) const;

  // After the last durable record.
  Head head() const;
  // Octets that Open cut off.
  uint64_t torn_octets() const { return torn_octets_; }

 private:
  // Records that share one flush.
  struct Group {
    std::string octets;
    JournalPosition after;  // the place after the group's last record
    bool done = false;
    std::condition_variable wake;
  };

  explicit Journal(std::unique_ptr<JournalFile> file) : file_(std::move(file)) {}
  void Flush(std::unique_lock<std::mutex>& lock);
  void NotePosition(const JournalPosition& position);

  std::unique_ptr<JournalFile> file_;
  uint64_t torn_octets_ = 0;
  std::function<void()> on_failure_;

  mutable std::mutex mutex_;
  absl::Status broken_;
  bool flushing_ = false;
  std::shared_ptr<Group> open_group_ = std::make_shared<Group>();
  JournalPosition end_;      // after the last record handed in
  JournalPosition durable_;  // after the last durable one
  // Every kIndexStep-th place, so that List need not read from the start.
  static constexpr uint64_t kIndexStep = 1024;
  std::vector<JournalPosition> index_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_H_
