// SPDX-License-Identifier: AGPL-3.0-only
// The journal's files and the keys that an auditor holds.
#include <optional>

#include "cli/output/output.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/journal/export.h"

namespace auspex::cli {
namespace {

constexpr uint64_t kMaxEnrolmentOctets = 16 * 1024;

// The key in keyd's enrolment file; nullopt when there is none that can be read.
std::optional<std::string> EnrolledKey(const Session& session) {
  const absl::StatusOr<std::string> text =
      ReadFile(Cat(session.layout.StateDir("keyd"), "/enrolment.toml"), kMaxEnrolmentOctets);
  if (!text.ok()) return std::nullopt;
  constexpr std::string_view kName = "public_key = \"";
  const size_t at = text->find(kName);
  if (at == std::string::npos) return std::nullopt;
  std::optional<std::string> key = HexDecode(text->substr(at + kName.size(), 64));
  return key && key->size() == 32 ? key : std::nullopt;
}

}  // namespace

void AddFileOptions(CLI::App& verb, JournalFiles& files) {
  CLI::Option* folder = verb.add_option("--journal", files.folder,
                                        "Read this folder of segments instead of the own worker's")
                            ->type_name("DIR");
  verb.add_option("--export", files.export_file, "Read this file of 'auspex audit export'")
      ->type_name("FILE")
      ->excludes(folder);
}

std::unique_ptr<JournalArchive> Open(const Session& session, const JournalFiles& files) {
  if (!files.export_file.empty()) return OpenJournalExport(files.export_file);
  return OpenJournalFolder(files.folder.empty() ? Cat(session.layout.StateDir("keyd"), "/journal")
                                                : files.folder);
}

void AddKeyOption(CLI::App& verb, std::vector<std::string>& keys) {
  verb.add_option("--key", keys, "Trust this public key (64 hex digits; may be repeated)")
      ->check(IsA<PublicKeyHex>("HEX"))
      ->take_all();
}

TrustedKeys KeysFor(const Session& session, const std::vector<std::string>& given,
                    const JournalFiles& files) {
  TrustedKeys trusted;
  if (!given.empty()) {
    for (const std::string& key : given) trusted.keys.push_back(*HexDecode(key));
    trusted.from = "given with --key";
    return trusted;
  }
  if (!files.given()) {
    if (std::optional<std::string> own = EnrolledKey(session)) {
      trusted.keys.push_back(*std::move(own));
      trusted.from = "the key that this worker is enrolled with";
      return trusted;
    }
  }
  trusted.from = "none was given: the keys that the journal names itself are taken at its word";
  return trusted;
}

absl::StatusOr<KeptNote> ReadNoteFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxNoteOctets, Links::kFollow));
  absl::StatusOr<SignedCheckpoint> note = ParseNote(text);
  if (!note.ok()) {
    return absl::InvalidArgumentError(Cat(path, ": ", std::string(note.status().message())));
  }
  return KeptNote{path, *std::move(note)};
}

std::optional<AuditReport> AuditOrTell(const Session& session, const JournalArchive& archive,
                                       const AuditRequest& request) {
  absl::StatusOr<AuditReport> report = AuditJournal(archive, request);
  if (!report.ok()) {
    session.output.Error("audit", report.status(),
                         absl::IsPermissionDenied(report.status())
                             ? "the journal's files are keyd's alone: ask as that user or as root"
                             : "name the journal's folder with --journal DIR");
    return std::nullopt;
  }
  if (report->fault) {
    session.output.Error("audit", FaultText(*report->fault),
                         Cat("'", session.output.program(), " audit verify' says more"));
    return std::nullopt;
  }
  return *std::move(report);
}

JsonValue FaultJson(const std::optional<AuditFault>& fault) {
  if (!fault) return JsonValue();
  return JsonObject{{"file", fault->file},
                    {"offset", fault->offset},
                    {"record", fault->record},
                    {"cause", fault->cause}};
}

std::string FaultText(const AuditFault& fault) {
  // The readers' own messages begin with file, offset and record.
  if (fault.cause.starts_with("journal: ")) return fault.cause;
  std::string text = fault.file;
  if (fault.offset != 0) text += Cat(": offset ", fault.offset);
  if (fault.record != 0) text += Cat(" (record ", fault.record, ")");
  return Cat(text, ": ", fault.cause);
}

}  // namespace auspex::cli
