// SPDX-License-Identifier: AGPL-3.0-only
// Whether this journal knows what a claim says was signed: the record and its proof, or that there
// is none. One thread.
#ifndef AUSPEX_CLI_VERBS_AUDIT_KNOWN_H_
#define AUSPEX_CLI_VERBS_AUDIT_KNOWN_H_

#include <string>

#include "cli/session.h"
#include "cli/verbs/audit_claims.h"
#include "cli/verbs/audit_verbs.h"
#include "common/journal/proof.h"

namespace auspex::cli {

// A record's place in the tree of a signed checkpoint, with what is needed to check it elsewhere.
struct Inclusion {
  uint64_t sequence = 0;
  Digest32 leaf{};
  Proof proof;
  Checkpoint checkpoint;
  std::string note;  // of the checkpoint, whole
};

// Proves record `sequence` against `checkpoint`, and checks the proof. OUT_OF_RANGE when the
// checkpoint does not cover the record, FAILED_PRECONDITION when the files do not begin with record
// 1, DATA_LOSS when the journal is not the one of the checkpoint.
absl::StatusOr<Inclusion> ProveRecord(const JournalArchive& archive, uint64_t sequence,
                                      const Checkpoint& checkpoint, const std::string& note);
JsonObject InclusionJson(const Inclusion& inclusion);
void PrintInclusion(const Output& output, const Inclusion& inclusion);
JsonArray HashesJson(const Proof& proof);

// Looks the claim up and tells. The exit code: 0 known, 1 not.
int CompareWithJournal(Session& session, const JournalArchive& archive, const AuditReport& report,
                       const Claim& claim);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_AUDIT_KNOWN_H_
