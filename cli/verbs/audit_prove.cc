// SPDX-License-Identifier: AGPL-3.0-only
// audit prove: a record's place under a checkpoint, one checkpoint as the continuation of another,
// and whether what others hold was signed here.
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_known.h"
#include "cli/verbs/audit_verbs.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/receipt/receipt.h"

namespace auspex::cli {
namespace {

constexpr uint64_t kMaxClaimOctets = 4 * 1024 * 1024;

struct ProveOptions {
  JournalFiles files;
  std::vector<std::string> keys;
  uint64_t sequence = 0;
  std::string checkpoint;
  std::string older, newer;
  std::string result, signature, receipt, receipt_id, digest;
};

int Tell(const Session& session, const absl::Status& status, std::string_view next = {}) {
  session.output.Error("audit", status, next);
  return kExitFailure;
}

int ProveInclusion(Session& session, const ProveOptions& options, const JournalArchive& archive,
                   AuditRequest request) {
  const Output& output = session.output;
  if (!options.checkpoint.empty()) {
    absl::StatusOr<KeptNote> note = ReadNoteFile(options.checkpoint);
    if (!note.ok()) return Tell(session, note.status());
    request.kept.push_back(*std::move(note));
  }
  const std::optional<AuditReport> report = AuditOrTell(session, archive, request);
  if (!report) return kExitFailure;
  std::string text = report->newest_note;
  std::optional<Checkpoint> checkpoint = report->newest;
  if (!request.kept.empty()) {
    const SignedCheckpoint& note = request.kept[0].note;
    checkpoint = note.checkpoint;
    const absl::StatusOr<std::string> kept =
        ReadFile(options.checkpoint, kMaxNoteOctets, Links::kFollow);
    if (!kept.ok()) return Tell(session, kept.status());
    text = *kept;
  }
  if (!checkpoint) {
    return Tell(session, absl::FailedPreconditionError("the journal has no checkpoint yet"),
                Cat("sign one: ", output.program(), " audit head --sign"));
  }
  const absl::StatusOr<Inclusion> inclusion =
      ProveRecord(archive, options.sequence, *checkpoint, text);
  if (!inclusion.ok()) {
    return Tell(session, inclusion.status(),
                absl::IsOutOfRange(inclusion.status())
                    ? Cat("have a newer one signed: ", output.program(), " audit head --sign")
                    : std::string());
  }
  if (output.json()) {
    output.Json(InclusionJson(*inclusion));
  } else {
    PrintInclusion(output, *inclusion);
  }
  return kExitOk;
}

absl::StatusOr<Proof> Consistency(const JournalArchive& archive, const Checkpoint& older,
                                  const Checkpoint& newer) {
  ASSIGN_OR_RETURN(std::vector<LeafRange> ranges, ConsistencyRanges(older.size, newer.size));
  RangeHasher hasher(std::move(ranges));
  JournalState state;
  bool whole = true;
  JournalArchive::Visitor visitor;
  visitor.begin = [&] { whole = state.records() == 0; };
  visitor.record = [&](const JournalFrame& frame) {
    if (hasher.leaves() < newer.size) hasher.Add(frame.record.leaf);
  };
  ArchiveFacts facts;
  RETURN_IF_ERROR(archive.Read(state, visitor, facts));
  if (!whole) {
    return absl::FailedPreconditionError(
        "the files do not begin with record 1: a proof needs every leaf of the tree");
  }
  ASSIGN_OR_RETURN(const Proof proof, hasher.Finish());
  RETURN_IF_ERROR(VerifyConsistency(older.size, older.root, newer.size, newer.root, proof));
  return proof;
}

int ProveContinuation(Session& session, const ProveOptions& options, const JournalArchive& archive,
                      AuditRequest request) {
  const Output& output = session.output;
  for (const std::string* path : {&options.older, &options.newer}) {
    absl::StatusOr<KeptNote> note = ReadNoteFile(*path);
    if (!note.ok()) return Tell(session, note.status());
    request.kept.push_back(*std::move(note));
  }
  // Checks both signatures, and that the journal continues both.
  if (!AuditOrTell(session, archive, request)) return kExitFailure;
  const Checkpoint& older = request.kept[0].note.checkpoint;
  const Checkpoint& newer = request.kept[1].note.checkpoint;
  const absl::StatusOr<Proof> proof = Consistency(archive, older, newer);
  if (!proof.ok()) return Tell(session, proof.status());
  if (output.json()) {
    output.Json(JsonObject{{"origin", older.origin},
                           {"old_size", older.size},
                           {"old_root", HexEncode(AsText(older.root))},
                           {"new_size", newer.size},
                           {"new_root", HexEncode(AsText(newer.root))},
                           {"proof", HashesJson(*proof)}});
    return kExitOk;
  }
  output.Line(Cat("the ", newer.size, " records of ", Clean(options.newer), " begin with the ",
                  older.size, " of ", Clean(options.older), " (checked):"));
  output.Line(Cat("  old root  ", HexEncode(AsText(older.root))));
  for (const Digest32& node : *proof) output.Line(Cat("  node      ", HexEncode(AsText(node))));
  output.Line(Cat("  new root  ", HexEncode(AsText(newer.root))));
  return kExitOk;
}

// What the worker's own store knows of a result: its receipt's anchors, or the result itself as long
// as there is no receipt.
absl::StatusOr<Claim> OwnReceipt(Session& session, const std::string& identifier) {
  Worker worker(session);
  RETURN_IF_ERROR(worker.Need({"stated"}));
  ASSIGN_OR_RETURN(const stated_v1::Result result, worker->GetResult(identifier));
  if (!result.canonical_blob().empty()) {
    return ClaimOfReceipt(Cat("receipt of result ", result.result_id()), result.canonical_blob());
  }
  const std::optional<std::string> digest = HexDecode(result.result_sha256());
  if (!digest || digest->size() != 32) {
    return absl::NotFoundError(
        Cat(identifier, ": neither a receipt nor a result's digest is known"));
  }
  Claim claim{.source = Cat("result ", result.result_id()), .result = true};
  claim.digests.push_back(ToDigest(*digest));
  return claim;
}

absl::StatusOr<Claim> ClaimOf(Session& session, const ProveOptions& options) {
  if (!options.receipt_id.empty()) return OwnReceipt(session, options.receipt_id);
  if (!options.digest.empty()) {
    Claim claim{.source = options.digest};
    claim.digests.push_back(ToDigest(*HexDecode(options.digest)));
    return claim;
  }
  const std::string& path = options.result.empty() ? options.receipt : options.result;
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxClaimOctets, Links::kFollow));
  return options.result.empty() ? ClaimOfReceipt(path, content)
                                : ClaimOfResult(path, content, options.signature);
}

int RunProve(Session& session, const ProveOptions& options) {
  const int asked = (options.sequence != 0) + !options.older.empty() + !options.result.empty() +
                    !options.receipt.empty() + !options.receipt_id.empty() +
                    !options.digest.empty();
  if (asked != 1) {
    session.output.Error("audit prove",
                         "name one thing to prove: --sequence, --old with --new, --result, "
                         "--receipt, --receipt-id or --digest",
                         Cat("'", session.output.program(), " audit prove --help' shows examples"));
    return kExitRefused;
  }
  const auto archive = Open(session, options.files);
  AuditRequest request;
  request.trusted_keys = KeysFor(session, options.keys, options.files).keys;
  if (options.sequence != 0) return ProveInclusion(session, options, *archive, request);
  if (!options.older.empty()) return ProveContinuation(session, options, *archive, request);
  const absl::StatusOr<Claim> claim = ClaimOf(session, options);
  if (!claim.ok()) return Tell(session, claim.status());
  const std::optional<AuditReport> report = AuditOrTell(session, *archive, request);
  if (!report) return kExitFailure;
  return CompareWithJournal(session, *archive, *report, *claim);
}

}  // namespace

void AddAuditProve(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<ProveOptions>();
  CLI::App* prove =
      audit.add_subcommand("prove", "Prove from the journal, or compare what others hold with it");
  prove->add_option("--sequence", options->sequence, "That record N is under a checkpoint")
      ->check(CLI::PositiveNumber);
  prove
      ->add_option("--checkpoint", options->checkpoint,
                   "Under this one; without: the journal's newest")
      ->type_name("FILE")
      ->needs("--sequence");
  CLI::Option* older =
      prove->add_option("--old", options->older, "That this kept checkpoint")->type_name("FILE");
  prove->add_option("--new", options->newer, "is continued by this one")
      ->type_name("FILE")
      ->needs(older);
  older->needs("--new");
  prove
      ->add_option("--result", options->result,
                   "Whether this result was signed here: the signed JSON, or a whole submission")
      ->type_name("FILE");
  prove->add_option("--signature", options->signature, "Its signature, when the file has none")
      ->type_name("BASE64")
      ->needs("--result");
  prove
      ->add_option("--receipt", options->receipt,
                   "Whether the results of this receipt were signed here: its COSE octets, or the "
                   "JSON of 'auspex receipts show'")
      ->type_name("FILE");
  prove
      ->add_option("--receipt-id", options->receipt_id,
                   "The same for a receipt of this worker, by its result id or unit id")
      ->check(IsA<ResultId>("ID"));
  prove
      ->add_option("--digest", options->digest,
                   "Whether anything with this SHA-256 was signed here")
      ->check(IsA<Sha256Hex>("HEX"));
  AddFileOptions(*prove, options->files);
  AddKeyOption(*prove, options->keys);
  prove->footer(
      "What is not in the journal was not signed by this keyd: exit code 1, NOT KNOWN.\n\n"
      "Example: auspex audit prove --sequence 17 --json\n"
      "Example: auspex audit prove --old kept-in-may.txt --new kept-in-june.txt\n"
      "Example: auspex audit prove --receipt-id unit-17\n"
      "Example: auspex audit prove --result from-the-coordinator.json");
  Runs(prove, chosen, options, RunProve);
}

}  // namespace auspex::cli
