// SPDX-License-Identifier: AGPL-3.0-only
// The audit of a whole journal from its files alone: every frame's check, the order of the records,
// the tree, every checkpoint and its signature, and whether the journal still continues the
// checkpoints that somebody kept. Pure over the archive; safe from any thread, one at a time for
// one archive.
//
// What no audit of files alone can see: records cut off, or the whole journal put back to an older
// state, together with its newest checkpoint. For that, give it a checkpoint that was kept
// elsewhere.
#ifndef AUSPEX_COMMON_JOURNAL_AUDIT_H_
#define AUSPEX_COMMON_JOURNAL_AUDIT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/journal/archive.h"
#include "common/journal/intent.h"
#include "common/journal/note.h"

namespace auspex {

// A checkpoint from elsewhere that the journal must continue.
struct KeptNote {
  std::string name;  // for reports, for example its file
  SignedCheckpoint note;
};

struct AuditRequest {
  // Public keys that the auditor trusts, 32 octets each. The keys that the journal itself names are
  // used beside them; without a trusted one, only they are.
  std::vector<std::string> trusted_keys;
  std::vector<KeptNote> kept;
};

struct AuditKey {
  std::string public_key;  // 32 octets
  bool trusted = false;
  uint64_t named_at = 0;     // the create_key or import_key record that names it first; 0: none
  uint64_t checkpoints = 0;  // of the journal that verified under it
};

struct AuditFault {
  std::string file;     // in the journal's folder, or the name of the kept note
  uint64_t offset = 0;  // octets into the file, where the faulty frame begins
  uint64_t record = 0;  // its sequence number; 0 for a fault outside of the records
  std::string cause;    // one sentence
};

struct OutcomeCounts {
  uint64_t signed_ = 0, done = 0, refused = 0;
};

struct AuditReport {
  std::string origin;      // of the checkpoints; names the journal
  std::string journal_id;  // 16 octets
  ArchiveFacts facts;
  uint64_t first = 1;  // sequence number of the first record in the files
  uint64_t last = 0;   // of the last good one; 0 when there is none
  int64_t first_time_micros = 0, last_time_micros = 0;  // Unix; as keyd's clock said
  uint64_t clock_steps_back = 0;  // records whose time is before the one of the record before them
  Digest32 root{};                // after `last`
  std::map<Intent, OutcomeCounts> intents;
  std::vector<AuditKey> keys;
  uint64_t checkpoints = 0;            // in the files
  uint64_t verified = 0;               // of these, under one of the keys
  std::string newest_note;             // newest verified one, octet for octet; empty: none
  std::optional<Checkpoint> newest;    // its content
  uint64_t attested = 0;               // records under the newest checkpoint of a trusted key (of
                                       // any key when none is trusted)
  std::vector<std::string> continues;  // names of the kept notes that the journal continues
  std::optional<AuditFault> fault;     // the first one; what is above is as of there
};

// The report; a fault of the journal is in it. An error only when there was nothing to look at:
// NOT_FOUND, or the error of a file that could not be read.
absl::StatusOr<AuditReport> AuditJournal(const JournalArchive& archive,
                                         const AuditRequest& request);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_AUDIT_H_
