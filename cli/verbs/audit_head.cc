// SPDX-License-Identifier: AGPL-3.0-only
// audit head: the journal's root and its newest checkpoint, whole, so that it can be kept elsewhere.
#include "cli/journal_client.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex::cli {
namespace {

struct HeadOptions {
  JournalFiles files;
  bool sign = false, note = false;
};

struct Head {
  uint64_t records = 0;
  std::string root, note;
};

absl::StatusOr<Head> OfKeyd(Session& session, bool sign) {
  Worker worker(session);
  if (absl::Status need = worker.Need({"keyd"}); !need.ok()) return need;
  Head head;
  if (sign) {
    JournalClient journal(session.layout);
    const auto signed_now = journal.SignCheckpoint();
    if (!signed_now.ok()) return signed_now.status();
    head.note = signed_now->note();
  }
  const absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus();
  if (!status.ok()) return status.status();
  head.records = status->journal_records();
  head.root = status->journal_root();
  if (!sign) head.note = status->checkpoint();
  return head;
}

int RunHead(Session& session, const HeadOptions& options) {
  const Output& output = session.output;
  Head head;
  if (options.files.given()) {
    const auto archive = Open(session, options.files);
    const std::optional<AuditReport> report = AuditOrTell(session, *archive, {});
    if (!report) return kExitFailure;
    head = {report->last, std::string(AsText(report->root)), report->newest_note};
  } else {
    absl::StatusOr<Head> of_keyd = OfKeyd(session, options.sign);
    if (!of_keyd.ok()) {
      output.Error("audit", of_keyd.status());
      return kExitFailure;
    }
    head = *std::move(of_keyd);
  }
  const absl::StatusOr<SignedCheckpoint> note = ParseNote(head.note);
  if (!head.note.empty() && !note.ok()) {
    output.Error("audit", note.status());
    return kExitFailure;
  }
  if (output.json()) {
    JsonObject object{{"records", head.records},
                      {"root", HexEncode(head.root)},
                      {"checkpoint", head.note},
                      {"checkpoint_records", nullptr},
                      {"origin", nullptr}};
    if (note.ok()) {
      object["checkpoint_records"] = note->checkpoint.size;
      object["origin"] = note->checkpoint.origin;
    }
    output.Json(std::move(object));
    return kExitOk;
  }
  if (options.note) {
    if (head.note.empty()) {
      output.Error("audit", "no checkpoint was signed yet",
                   Cat("sign one: ", output.program(), " audit head --sign"));
      return kExitFailure;
    }
    // A note was parsed: it holds no octet that moves a terminal. Its last line feed is Line's.
    output.Line(head.note.substr(0, head.note.size() - 1));
    return kExitOk;
  }
  output.Fields({{"records", Cat(head.records)}, {"root", HexEncode(head.root)}});
  if (head.note.empty()) {
    output.Line("checkpoint: none was signed yet");
    return kExitOk;
  }
  output.Line(Cat("checkpoint, over the first ", note->checkpoint.size, " records:\n\n",
                  head.note.substr(0, head.note.size() - 1)));
  return kExitOk;
}

}  // namespace

void AddAuditHead(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<HeadOptions>();
  CLI::App* head = audit.add_subcommand("head", "The root and the newest signed checkpoint");
  CLI::Option* sign =
      head->add_flag("--sign", options->sign, "Have keyd sign a checkpoint of all there is now");
  head->add_flag("--note", options->note, "Print the checkpoint alone, to be kept elsewhere");
  AddFileOptions(*head, options->files);
  sign->excludes(head->get_option("--journal"))->excludes(head->get_option("--export"));
  head->footer(
      "A checkpoint that is kept on another machine shows later that no record was taken back.\n\n"
      "Example: auspex audit head\n"
      "Example: auspex audit head --sign --note > checkpoint-of-today.txt");
  Runs(head, chosen, options, RunHead);
}

}  // namespace auspex::cli
