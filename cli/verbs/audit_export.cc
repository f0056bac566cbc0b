// SPDX-License-Identifier: AGPL-3.0-only
// audit export: the journal, or a range of it, as one file for an auditor.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/journal/export.h"

namespace auspex::cli {
namespace {

constexpr size_t kBufferOctets = 256 * 1024;

struct ExportOptions {
  JournalFiles files;
  ExportRange range;
  std::string output;
};

absl::StatusOr<ExportSummary> Write(const JournalArchive& archive, const ExportOptions& options,
                                    int fd) {
  std::string buffer;
  const auto flush = [&]() -> absl::Status {
    RETURN_IF_ERROR(WriteAll(fd, buffer, options.output));
    buffer.clear();
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(const ExportSummary summary,
                   ExportJournal(archive, options.range, [&](std::string_view line) {
                     buffer += line;
                     return buffer.size() < kBufferOctets ? absl::OkStatus() : flush();
                   }));
  RETURN_IF_ERROR(flush());
  if (::fsync(fd) != 0) return ErrnoStatus(errno, "fsync", options.output);
  return summary;
}

int RunExport(Session& session, const ExportOptions& options) {
  const Output& output = session.output;
  UniqueFd fd(
      ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    output.Error("audit", ErrnoStatus(errno, "create", options.output),
                 "an export never replaces a file: choose another name");
    return kExitFailure;
  }
  const auto archive = Open(session, options.files);
  const absl::StatusOr<ExportSummary> summary = Write(*archive, options, fd.get());
  if (!summary.ok()) {
    // Half an export is none, and it is ours: it was made a moment ago.
    ::unlink(options.output.c_str());
    output.Error("audit", summary.status());
    return kExitFailure;
  }
  const uint64_t last = summary->first + summary->records - 1;
  if (output.json()) {
    output.Json(JsonObject{{"output", options.output},
                           {"first_record", summary->first},
                           {"last_record", last},
                           {"checkpoints", summary->checkpoints}});
    return kExitOk;
  }
  output.Line(Cat("records ", summary->first, " to ", last, " and ", summary->checkpoints,
                  " checkpoints are in ", Clean(options.output)));
  output.Note(
      Cat("to check it: ", output.program(), " audit verify --export ", Clean(options.output)));
  return kExitOk;
}

}  // namespace

void AddAuditExport(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* verb = audit.add_subcommand("export", "Write the journal as one file for an auditor");
  verb->add_option("--output", options->output, "The file to make; it must not exist")
      ->required()
      ->type_name("FILE");
  verb->add_option("--from", options->range.first, "First sequence number")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--to", options->range.last, "Last sequence number; else all")
      ->check(CLI::PositiveNumber);
  AddFileOptions(*verb, options->files);
  verb->footer(
      "JSON lines: a head, every record with every field, every checkpoint, an end. Anybody can\n"
      "check it with 'auspex audit verify --export FILE'.\n\n"
      "Example: auspex audit export --output journal.jsonl");
  Runs(verb, chosen, options, RunExport);
}

}  // namespace auspex::cli
