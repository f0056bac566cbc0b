// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

Journal::~Journal() {
  // A journal at rest ends with its last frame; what a crash leaves behind it is harmless.
  if (broken_.ok() && file_) (void)file_->Truncate(segments_.back().end);
}

absl::StatusOr<Journal::Ticket> Journal::Submit(const JournalEntry& entry) {
  std::lock_guard lock(mutex_);
  return SubmitLocked(entry);
}

absl::StatusOr<DurableRecord> Journal::Wait(const Ticket& ticket) {
  std::unique_lock lock(mutex_);
  return WaitLocked(lock, ticket);
}

absl::StatusOr<DurableRecord> Journal::Append(const JournalEntry& entry) {
  std::unique_lock lock(mutex_);
  ASSIGN_OR_RETURN(const Ticket ticket, SubmitLocked(entry));
  return WaitLocked(lock, ticket);
}

absl::StatusOr<Journal::Ticket> Journal::SubmitLocked(const JournalEntry& entry) {
  if (!broken_.ok()) return broken_;
  const uint64_t sequence = tree_.size() + 1;
  const std::string body = EncodeRecordBody(entry, sequence);
  const Digest32 leaf = FrameCheck(body);
  tree_.Append(leaf);
  const std::shared_ptr<Group> group = open_group_;
  if ((sequence - 1) % kIndexStep == 0) group->marks.push_back({sequence, 0, group->octets.size()});
  AppendFrame(group->octets, body, leaf, /*begins_flush=*/group->octets.empty());
  return Ticket(group, sequence, entry.outcome, entry.digest);
}

absl::StatusOr<DurableRecord> Journal::WaitLocked(std::unique_lock<std::mutex>& lock,
                                                  const Ticket& ticket) {
  if (!WaitUntilDurable(lock, ticket.group_)) return broken_;
  return DurableRecord(ticket.sequence_, ticket.outcome_, ticket.digest_);
}

bool Journal::WaitUntilDurable(std::unique_lock<std::mutex>& lock,
                               const std::shared_ptr<Group>& group) {
  while (!group->done) {
    if (pushed_) {
      EndFlush(lock);
    } else if (flushing_) {
      group->wake.wait(lock);
    } else {
      BeginFlush(lock);
    }
  }
  return !group->failed;
}

void Journal::Push() {
  std::unique_lock lock(mutex_);
  if (flushing_ || open_group_->octets.empty()) return;
  BeginFlush(lock);
  if (pushed_ && pushed_->status.ok()) {
    pushed_->file->BeginWriteback(pushed_->offset, pushed_->group->octets.size());
  }
  // Frames of others may be all that the group has: one of those who came to wait for them while
  // they were written ends the flush.
  if (pushed_) pushed_->group->wake.notify_one();
}

// Writes the open group as the leader. Frames that arrive meanwhile form the next group, whose
// first waiter is woken to lead it.
void Journal::BeginFlush(std::unique_lock<std::mutex>& lock) {
  flushing_ = true;
  // Every record that was handed in is in this group or durable.
  Pushed pushed{std::exchange(open_group_, std::make_shared<Group>()), tree_, file_,
                segments_.back().end, broken_};
  if (pushed.status.ok()) {
    lock.unlock();
    pushed.status = pushed.file->WriteAt(pushed.offset, pushed.group->octets);
    lock.lock();
  }
  pushed_ = std::move(pushed);
}

// Waits for the disk. Any thread that needs the flush may end it.
void Journal::EndFlush(std::unique_lock<std::mutex>& lock) {
  Pushed pushed = *std::exchange(pushed_, std::nullopt);
  Group& group = *pushed.group;
  if (pushed.status.ok()) {
    lock.unlock();
    pushed.status = pushed.file->Sync();
    lock.lock();
  }
  flushing_ = false;
  group.failed = !pushed.status.ok();
  if (group.failed) {
    (void)Break(pushed.status);
  } else {
    durable_tree_ = std::move(pushed.tree);
    for (const Mark& mark : group.marks) {
      index_.push_back({mark.sequence, segments_.size() - 1, pushed.offset + mark.offset});
    }
    segments_.back().end = pushed.offset + group.octets.size();
    if (DueLocked().any()) due_.notify_one();
    more_.notify_all();
  }
  group.done = true;
  group.wake.notify_all();
  open_group_->wake.notify_one();
  idle_.notify_one();
}

// The first failure of the disk: the journal is of no use any more.
absl::Status Journal::Break(const absl::Status& cause) {
  if (!broken_.ok()) return broken_;
  broken_ = absl::UnavailableError(
      Cat("journal: ", std::string(cause.message()),
          "; nothing is signed until auspex-keyd is started again with a disk that works"));
  if (on_failure_) on_failure_();
  return broken_;
}

absl::StatusOr<Journal::Announced> Journal::AnnounceCheckpoint(const Caller& caller,
                                                               int64_t now_micros) {
  std::unique_lock lock(mutex_);
  const Checkpoint checkpoint{origin(), tree_.size(), tree_.Root()};
  JournalEntry entry;
  entry.caller = caller;
  entry.intent = Intent::kSignCheckpoint;
  entry.outcome = Outcome::kSigned;
  entry.time_micros = now_micros;
  entry.digest = ToDigest(Sha256(NoteText(checkpoint)));
  if (!newest_note_.empty()) entry.bound = ToDigest(Sha256(newest_note_));
  entry.subject = Cat(checkpoint.size);
  ASSIGN_OR_RETURN(const Ticket ticket, SubmitLocked(entry));
  ASSIGN_OR_RETURN(const DurableRecord proof, WaitLocked(lock, ticket));
  return Announced{checkpoint, proof};
}

absl::Status Journal::AddCheckpoint(const std::string& note) {
  {
    std::unique_lock lock(mutex_);
    if (!broken_.ok()) return broken_;
    const std::shared_ptr<Group> group = open_group_;
    const std::string body = EncodeCheckpointBody(note);
    AppendFrame(group->octets, body, FrameCheck(body), /*begins_flush=*/group->octets.empty());
    if (!WaitUntilDurable(lock, group)) return broken_;
    newest_note_ = note;
  }
  // After the frame: what the file says, the journal holds.
  const absl::Status status = PutWhole(*folder_, std::string(kCheckpointFile), note);
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  return Break(status);
}

absl::Status Journal::Rotate(int64_t now_micros) {
  std::unique_lock lock(mutex_);
  while (flushing_) {
    if (pushed_) {
      EndFlush(lock);
    } else {
      idle_.wait(lock);
    }
  }
  if (!broken_.ok()) return broken_;
  const uint64_t first = durable_tree_.size() + 1;
  if (first == segments_.back().first_sequence) return absl::OkStatus();
  flushing_ = true;  // frames that are handed in meanwhile go to the new segment
  const std::string header =
      EncodeSegmentHeader({journal_id_, now_micros, durable_tree_, newest_note_});
  const uint64_t end = segments_.back().end;
  lock.unlock();
  // A crash after any of these leaves the old segment as the last, whole, or the new one.
  absl::StatusOr<std::unique_ptr<JournalFile>> file = absl::UnknownError("");
  absl::Status status = file_->Truncate(end);
  if (status.ok()) status = file_->Sync();
  if (status.ok()) status = PutWhole(*folder_, SegmentName(first), header);
  if (status.ok()) {
    file = folder_->Open(SegmentName(first));
    status = file.status();
  }
  lock.lock();
  flushing_ = false;
  if (status.ok()) {
    file_ = *std::move(file);
    segments_.push_back({first, header.size(), header.size()});
    index_.push_back({first, segments_.size() - 1, header.size()});
  } else {
    status = Break(status);
  }
  open_group_->wake.notify_one();
  idle_.notify_one();
  return status;
}

Journal::Due Journal::DueLocked() const {
  return {durable_tree_.size() >= next_checkpoint_,
          segments_.back().end >= options_.segment_octets &&
              durable_tree_.size() >= segments_.back().first_sequence};
}

bool Journal::IsDue() const {
  std::lock_guard lock(mutex_);
  return DueLocked().any();
}

std::optional<Journal::Due> Journal::WaitUntilDue(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  const bool in_time = due_.wait_for(
      lock, at_most, [this] { return waits_ended_ || (broken_.ok() && DueLocked().any()); });
  if (waits_ended_) return std::nullopt;
  Due due = DueLocked();
  if (!in_time) due.checkpoint = true;
  if (due.checkpoint) next_checkpoint_ = durable_tree_.size() + options_.checkpoint_every;
  return due;
}

bool Journal::WaitForMore(uint64_t records, std::chrono::milliseconds at_most) const {
  std::unique_lock lock(mutex_);
  more_.wait_for(lock, at_most, [&] { return waits_ended_ || durable_tree_.size() > records; });
  return !waits_ended_;
}

void Journal::EndWaits() {
  std::lock_guard lock(mutex_);
  waits_ended_ = true;
  due_.notify_all();
  more_.notify_all();
}

absl::Status Journal::List(uint64_t first, uint64_t limit,
                           const std::function<bool(const JournalRecord&)>& visit) const {
  first = std::max<uint64_t>(first, 1);
  std::vector<Segment> segments;
  std::shared_ptr<JournalFile> last;
  Mark start;
  {
    std::lock_guard lock(mutex_);
    if (first > durable_tree_.size()) return absl::OkStatus();
    const auto after = std::upper_bound(
        index_.begin(), index_.end(), first,
        [](uint64_t sequence, const Mark& mark) { return sequence < mark.sequence; });
    start = *std::prev(after);
    segments = segments_;
    last = file_;
  }
  uint64_t shown = 0;
  for (size_t at = start.segment; at < segments.size(); ++at) {
    const Segment& segment = segments[at];
    const std::string name = SegmentName(segment.first_sequence);
    std::shared_ptr<JournalFile> file = last;
    if (at + 1 < segments.size()) {
      ASSIGN_OR_RETURN(file, folder_->Open(name));
    }
    const JournalPosition from = at == start.segment
                                     ? JournalPosition{start.offset, start.sequence}
                                     : JournalPosition{segment.header, segment.first_sequence};
    JournalScanner scanner(*file, name, from, segment.end);
    JournalFrame frame;
    while (true) {
      ASSIGN_OR_RETURN(const JournalScanner::Step step, scanner.Next(frame));
      if (step == JournalScanner::Step::kEnd) break;
      if (step == JournalScanner::Step::kCheckpoint) continue;
      if (step != JournalScanner::Step::kRecord) return scanner.Damage("cut short while in use");
      if (frame.record.sequence < first) continue;
      if (!visit(frame.record)) return absl::OkStatus();
      if (++shown == limit) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

Journal::Head Journal::head() const {
  std::lock_guard lock(mutex_);
  Head head{durable_tree_.size(), durable_tree_.Root(), 0, segments_.size(), newest_note_};
  for (const Segment& segment : segments_) head.octets += segment.end;
  return head;
}

}  // namespace auspex::keyd
