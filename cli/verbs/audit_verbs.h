// SPDX-License-Identifier: AGPL-3.0-only
// The verbs of `auspex audit`, one file each, and what they share: rows of the journal with their
// filters, and the journal's files with the keys that an auditor holds. One thread.
#ifndef AUSPEX_CLI_VERBS_AUDIT_VERBS_H_
#define AUSPEX_CLI_VERBS_AUDIT_VERBS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "auspex/keyd/v1/keyd.pb.h"
#include "cli/app.h"
#include "common/journal/archive.h"
#include "common/journal/audit.h"
#include "common/json/value.h"

namespace auspex::cli {

namespace keyd_v1 = ::auspex::keyd::v1;

void AddAuditShow(CLI::App& audit, Chosen& chosen);
void AddAuditFollow(CLI::App& audit, Chosen& chosen);
void AddAuditHead(CLI::App& audit, Chosen& chosen);
void AddAuditVerify(CLI::App& audit, Chosen& chosen);
void AddAuditProve(CLI::App& audit, Chosen& chosen);
void AddAuditExport(CLI::App& audit, Chosen& chosen);

// ---- rows (audit_rows.cc)

struct RowFilter {
  std::string intent, unit, outcome, since, until;  // empty: any
};
void AddFilterOptions(CLI::App& verb, RowFilter& filter);
bool Fits(const RowFilter& filter, const keyd_v1::JournalRecord& row);

// A record of the files in the form in which keyd sends them.
keyd_v1::JournalRecord RowOf(const JournalRecord& record);
JsonObject RowJson(const keyd_v1::JournalRecord& row);
// One line, safe for a terminal.
std::string RowLine(const keyd_v1::JournalRecord& row);

// ---- files and keys (audit_files.cc)

// Where the journal is read from: at most one of the two; none: the folder of the session's keyd.
struct JournalFiles {
  std::string folder, export_file;
  bool given() const { return !folder.empty() || !export_file.empty(); }
};
void AddFileOptions(CLI::App& verb, JournalFiles& files);
std::unique_ptr<JournalArchive> Open(const Session& session, const JournalFiles& files);

// The keys that the auditor trusts, and in words where they are from.
struct TrustedKeys {
  std::vector<std::string> keys;  // 32 octets each; empty: only those that the journal names
  std::string from;
};
// `given`: 64 hex digits each, checked by the parser. Without one and without given files: the key
// that this worker is enrolled with, when that can be read.
TrustedKeys KeysFor(const Session& session, const std::vector<std::string>& given,
                    const JournalFiles& files);
// Declares --key.
void AddKeyOption(CLI::App& verb, std::vector<std::string>& keys);

// The checkpoint note in a file.
absl::StatusOr<KeptNote> ReadNoteFile(const std::string& path);

// The audit of what `files` names. Tells of a fault, or of files that cannot be read, and returns
// nullopt then.
std::optional<AuditReport> AuditOrTell(const Session& session, const JournalArchive& archive,
                                       const AuditRequest& request);
JsonValue FaultJson(const std::optional<AuditFault>& fault);
// "FILE: offset N: record M: cause"; the cause alone when it names them.
std::string FaultText(const AuditFault& fault);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_VERBS_AUDIT_VERBS_H_
