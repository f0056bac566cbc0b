// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/journal_start.h"

#include <sys/stat.h>

#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kRemedy =
    "keyd does not start on a journal that was changed: keep the folder as evidence, put a backup "
    "in its place, or move it and the key away and run `auspex bootstrap` for a new identity";

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// The newest checkpoint must be the present key's if it covers the making of that key.
absl::Status CheckNewest(const Journal& journal, const std::string& public_key_hex,
                         uint64_t key_made_by) {
  const std::string text = journal.head().checkpoint;
  if (text.empty() || public_key_hex.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const SignedCheckpoint note, ParseNote(text));
  const absl::Status status = CheckNote(note, HexDecode(public_key_hex).value_or(""));
  if (status.ok() || (absl::IsPermissionDenied(status) && note.checkpoint.size < key_made_by)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(Cat("journal: the newest checkpoint, of ", note.checkpoint.size,
                                 " records: ", std::string(status.message())));
}

absl::StatusOr<std::unique_ptr<Journal>> OpenAndCompare(const JournalStart& start,
                                                        std::unique_ptr<JournalFolder> folder,
                                                        const Journal::Visitor& visit) {
  uint64_t key_made_by = 0;
  const auto note_key = [&](const JournalRecord& record) {
    const bool makes = record.intent == Intent::kCreateKey || record.intent == Intent::kImportKey;
    if (makes && record.outcome == Outcome::kDone && record.subject == start.public_key_hex) {
      key_made_by = record.sequence;
    }
    visit(record);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<Journal> journal,
                   Journal::Open(std::move(folder), start.options, start.now_micros, note_key));
  if (!start.public_key_hex.empty() && key_made_by == 0) {
    return absl::DataLossError(Cat("journal: does not hold the making of the key ",
                                   start.public_key_hex,
                                   ": it is not the journal that this key was made under"));
  }
  RETURN_IF_ERROR(CheckNewest(*journal, start.public_key_hex, key_made_by));
  return journal;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> StartJournal(const JournalStart& start,
                                                      const Journal::Visitor& visit) {
  const std::string old_path = start.state_dir + "/journal.log";
  if (Exists(old_path)) {
    return absl::FailedPreconditionError(Cat(
        old_path,
        ": a journal of format 1, which this release does not read. Keep it as evidence of what "
        "was signed: move it and the key out of the state folder, and run `auspex bootstrap`"));
  }
  const std::string path = start.state_dir + "/journal";
  ASSIGN_OR_RETURN(std::unique_ptr<JournalFolder> folder, OpenJournalFolder(path));
  if (!start.public_key_hex.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, ListSegments(path));
    if (names.empty()) {
      return absl::DataLossError(Cat(path, ": journal: there is a key, ", start.public_key_hex,
                                     ", and no segment: the journal was removed. ", kRemedy));
    }
  }
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      OpenAndCompare(start, std::move(folder), visit);
  if (absl::IsDataLoss(journal.status())) {
    return absl::DataLossError(
        Cat(path, ": ", std::string(journal.status().message()), ". ", kRemedy));
  }
  return journal;
}

}  // namespace auspex::keyd
