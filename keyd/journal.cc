// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal.h"

#include <algorithm>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(std::unique_ptr<JournalFile> file,
                                                       const Visitor& visit) {
  std::string header(kJournalHeaderOctets, '\0');
  ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, std::span(header)));
  header.resize(got);
  RETURN_IF_ERROR(CheckJournalHeader(header));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());

  std::unique_ptr<Journal> journal(new Journal(std::move(file)));
  const JournalPosition start{kJournalHeaderOctets, 1, ToDigest(Sha256(header))};
  JournalScanner scanner(*journal->file_, start, size);
  journal->NotePosition(start);
  JournalRecord record;
  while (true) {
    ASSIGN_OR_RETURN(const JournalScanner::Step step, scanner.Next(record));
    if (step == JournalScanner::Step::kRecord) {
      visit(record);
      journal->NotePosition(scanner.position());
      continue;
    }
    if (step == JournalScanner::Step::kTorn) {
      journal->torn_octets_ = size - scanner.position().offset;
      RETURN_IF_ERROR(journal->file_->Truncate(scanner.position().offset));
      RETURN_IF_ERROR(journal->file_->Sync());
    }
    break;
  }
  journal->end_ = journal->durable_ = scanner.position();
  return journal;
}

void Journal::NotePosition(const JournalPosition& position) {
  if ((position.next_sequence - 1) % kIndexStep == 0) index_.push_back(position);
}

Journal::~Journal() {
  // A journal at rest ends with its last record; what a crash leaves behind it is harmless.
  if (broken_.ok()) (void)file_->Truncate(durable_.offset);
}

absl::StatusOr<DurableRecord> Journal::Append(const JournalEntry& entry) {
  std::unique_lock lock(mutex_);
  if (!broken_.ok()) return broken_;
  const uint64_t sequence = end_.next_sequence;
  const std::string body = EncodeRecordBody(entry, sequence);
  const std::shared_ptr<Group> group = open_group_;
  AppendLe(group->octets, LengthWord(body.size(), /*begins_flush=*/group->octets.empty()), 4);
  group->octets += body;
  end_.chain = ChainAfter(end_.chain, body);
  group->octets += AsText(end_.chain);
  end_.offset += 4 + body.size() + sizeof(Digest32);
  end_.next_sequence += 1;
  group->after = end_;
  NotePosition(end_);

  while (!group->done) {
    if (flushing_) {
      group->wake.wait(lock);
    } else {
      Flush(lock);
    }
  }
  // A group that failed leaves durable_ where it was.
  if (durable_.next_sequence <= sequence) return broken_;
  return DurableRecord(sequence, entry.outcome, entry.digest);
}

// Writes the open group as the leader. Records that arrive meanwhile form the next group, whose
// first waiter is woken to lead it.
void Journal::Flush(std::unique_lock<std::mutex>& lock) {
  flushing_ = true;
  const std::shared_ptr<Group> group = std::exchange(open_group_, std::make_shared<Group>());
  const uint64_t offset = durable_.offset;
  const bool broken_before = !broken_.ok();
  lock.unlock();
  absl::Status status;
  if (!broken_before) {
    status = file_->WriteAt(offset, group->octets);
    if (status.ok()) status = file_->Sync();
  }
  lock.lock();
  flushing_ = false;
  if (!status.ok()) {
    broken_ = absl::UnavailableError(
        Cat("journal: ", std::string(status.message()),
            "; nothing is signed until auspex-keyd is started again with a disk that works"));
    if (on_failure_) on_failure_();
  } else if (!broken_before) {
    durable_ = group->after;
  }
  group->done = true;
  group->wake.notify_all();
  open_group_->wake.notify_one();
}

absl::Status Journal::List(uint64_t first, uint64_t limit,
                           const std::function<bool(const JournalRecord&)>& visit) const {
  first = std::max<uint64_t>(first, 1);
  JournalPosition start, end;
  {
    std::lock_guard lock(mutex_);
    end = durable_;
    if (first >= end.next_sequence) return absl::OkStatus();
    start = index_[(first - 1) / kIndexStep];
  }
  JournalScanner scanner(*file_, start, end.offset);
  JournalRecord record;
  for (uint64_t shown = 0; limit == 0 || shown < limit;) {
    ASSIGN_OR_RETURN(const JournalScanner::Step step, scanner.Next(record));
    if (step == JournalScanner::Step::kEnd) break;
    if (step != JournalScanner::Step::kRecord) {
      return absl::DataLossError(
          Cat("journal: cut short at offset ", scanner.position().offset, " while in use"));
    }
    if (record.sequence < first) continue;
    if (!visit(record)) break;
    ++shown;
  }
  return absl::OkStatus();
}

Journal::Head Journal::head() const {
  std::lock_guard lock(mutex_);
  return {durable_.next_sequence - 1, durable_.chain};
}

}  // namespace auspex::keyd
