// SPDX-License-Identifier: AGPL-3.0-only
// Journal: the append-only record of everything that keyd signed or refused, in segments on disk
// and as a Merkle tree (docs/formats/journal.md). This is the writer; JournalState reads.
//
// Append returns only after the record is durable, and hands out a DurableRecord: the proof without
// which no UnreleasedSignature gives its octets. Threads that append at the same time share one write and one
// flush: the first becomes the leader, the others wait for it. After the first failure of the disk
// the journal is unusable until the process starts again: every later call is UNAVAILABLE. All
// methods are safe from any thread; Checkpointer sees to it that there is one checkpoint or
// rotation at a time.
#ifndef AUSPEX_KEYD_JOURNAL_H_
#define AUSPEX_KEYD_JOURNAL_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/digest.h"
#include "common/journal/record.h"
#include "common/journal/state.h"
#include "keyd/journal_file.h"

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

struct JournalOptions {
  uint64_t segment_octets = 64 * 1024 * 1024;  // a segment that has reached so many is closed
  uint64_t checkpoint_every = 10'000;          // records
};

class Journal {
 public:
  using Visitor = std::function<void(const JournalRecord&)>;
  struct Head {
    uint64_t records = 0;
    Digest32 root{};  // RFC 6962, over the durable records
    uint64_t octets = 0;
    size_t segments = 0;
    std::string checkpoint;  // the newest signed note; empty when there is none
  };

  // Cuts off what was set aside behind the last frame.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Reads all segments once, showing each record to `visit`; makes the first segment when there is
  // nothing at all. An unfinished flush at the end is cut off (torn_octets says how much); any other
  // damage, and a journal that does not reach its own file `checkpoint`, is DATA_LOSS with file,
  // offset and record.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(std::unique_ptr<JournalFolder> folder,
                                                       const JournalOptions& options,
                                                       int64_t now_micros, const Visitor& visit);

  // Has `tell` called once, by the thread that meets the first failure of the disk. Set before the
  // first Append; it must not call back into the journal.
  void OnFailure(std::function<void()> tell) { on_failure_ = std::move(tell); }

  // Append in two halves, so that one thread can hand in several records and wait for one flush. The
  // record's place is settled by Submit; it is durable, and proved, after Wait alone. UNAVAILABLE from
  // either when it could not be made so.
  class Ticket;
  absl::StatusOr<Ticket> Submit(const JournalEntry& entry);
  // Between the two, if the caller has something else to compute: hands what was submitted to the
  // disk without waiting for it. Whoever submitted it calls Wait soon: nothing else is written before.
  void Push();
  absl::StatusOr<DurableRecord> Wait(const Ticket& ticket);
  // Both halves.
  absl::StatusOr<DurableRecord> Append(const JournalEntry& entry);

  // What a checkpoint is to say, bound into the tree by its own durable record.
  struct Announced {
    Checkpoint checkpoint;  // of all records before `proof`
    DurableRecord proof;    // of NoteText(checkpoint)
  };
  absl::StatusOr<Announced> AnnounceCheckpoint(const Caller& caller, int64_t now_micros);
  // Makes the signed note of the last announced checkpoint durable, in the journal and then in the
  // file `checkpoint`.
  absl::Status AddCheckpoint(const std::string& note);
  // Closes the current segment and begins a new one; nothing happens to one without records.
  absl::Status Rotate(int64_t now_micros);

  // What is to be done: a checkpoint after so many records, a rotation of a full segment.
  struct Due {
    bool checkpoint = false, rotation = false;
    bool any() const { return checkpoint || rotation; }
  };
  bool IsDue() const;
  // Waits until something is due; a checkpoint is after `at_most` in any case. Whether or not the
  // caller can make the checkpoint, the next is due only after as many records or as long again.
  // nullopt when the waits were ended.
  std::optional<Due> WaitUntilDue(std::chrono::milliseconds at_most);
  // Waits until there are more than `records` durable records, the time is over, or the waits were
  // ended, and returns false in the last case.
  bool WaitForMore(uint64_t records, std::chrono::milliseconds at_most) const;
  // Ends all waits of these two kinds, for good.
  void EndWaits();

  // Shows the durable records from sequence number `first` (0 counts as 1) on, at most `limit` of
  // them (0: all), until `visit` returns false. Each is checked again on the way: DATA_LOSS when a
  // file was changed under us.
  absl::Status List(uint64_t first, uint64_t limit,
                    const std::function<bool(const JournalRecord&)>& visit) const;

  // As of the last durable record.
  Head head() const;
  std::string path() const { return folder_->path(); }
  std::string origin() const { return OriginOf(journal_id_); }
  // Octets that Open cut off.
  uint64_t torn_octets() const { return torn_octets_; }

 private:
  // Every kIndexStep-th record's place, so that List need not read from the start.
  static constexpr uint64_t kIndexStep = 1024;
  struct Segment {
    uint64_t first_sequence = 1;
    uint64_t header = 0;  // octets
    uint64_t end = 0;     // after the last durable frame
  };
  struct Mark {
    uint64_t sequence = 1;
    size_t segment = 0;
    uint64_t offset = 0;
  };
  // Frames that share one flush.
  struct Group {
    std::string octets;
    std::vector<Mark> marks;  // their offsets count from the group's begin
    bool done = false;
    bool failed = false;
    std::condition_variable wake;
  };

  // A flush that was begun.
  struct Pushed {
    std::shared_ptr<Group> group;
    CompactTree tree;  // of all records up to its last
    std::shared_ptr<JournalFile> file;
    uint64_t offset = 0;
    absl::Status status;  // of the write
  };

  Journal(std::unique_ptr<JournalFolder> folder, const JournalOptions& options)
      : folder_(std::move(folder)), options_(options) {}
  absl::Status Read(const std::vector<std::string>& names,
                    const std::optional<std::string>& checkpoint, const Visitor& visit);
  absl::Status Begin(int64_t now_micros);
  absl::StatusOr<Ticket> SubmitLocked(const JournalEntry& entry);
  absl::StatusOr<DurableRecord> WaitLocked(std::unique_lock<std::mutex>& lock,
                                           const Ticket& ticket);
  // False when the group's flush failed.
  bool WaitUntilDurable(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Group>& group);
  // The two halves of a flush; between them the frames are with the disk and `pushed_` is set.
  void BeginFlush(std::unique_lock<std::mutex>& lock);
  void EndFlush(std::unique_lock<std::mutex>& lock);
  absl::Status Break(const absl::Status& cause);
  Due DueLocked() const;

  const std::unique_ptr<JournalFolder> folder_;
  const JournalOptions options_;
  std::string journal_id_;
  uint64_t torn_octets_ = 0;
  std::function<void()> on_failure_;

  mutable std::mutex mutex_;
  absl::Status broken_;
  bool flushing_ = false;  // one thread writes, or changes segments; or a flush was pushed
  std::optional<Pushed> pushed_;
  std::condition_variable idle_;
  std::shared_ptr<Group> open_group_ = std::make_shared<Group>();
  CompactTree tree_;          // of all records handed in
  CompactTree durable_tree_;  // of the durable ones
  std::string newest_note_;
  std::shared_ptr<JournalFile> file_;  // the last segment
  std::vector<Segment> segments_;
  std::vector<Mark> index_;
  uint64_t next_checkpoint_ = 0;  // due when there are so many records
  bool waits_ended_ = false;
  std::condition_variable due_;
  mutable std::condition_variable more_;
};

// A record that was handed in and may not be durable yet.
class Journal::Ticket {
  friend class Journal;
  Ticket(std::shared_ptr<Group> group, uint64_t sequence, Outcome outcome, const Digest32& digest)
      : group_(std::move(group)), sequence_(sequence), outcome_(outcome), digest_(digest) {}
  std::shared_ptr<Group> group_;
  uint64_t sequence_;
  Outcome outcome_;
  Digest32 digest_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_H_
