// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/verbs/audit_known.h"

#include <algorithm>
#include <optional>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/status_macros.h"

namespace auspex::cli {
namespace {

// One digest of a claim and the record that has it.
struct Found {
  Digest32 digest{};
  std::optional<keyd_v1::JournalRecord> row;
  std::optional<Inclusion> inclusion;
};

absl::StatusOr<std::vector<Found>> LookUp(const JournalArchive& archive, const Claim& claim) {
  std::vector<Found> found;
  for (const Digest32& digest : claim.digests) found.push_back({digest, {}, {}});
  JournalArchive::Visitor visitor;
  visitor.record = [&](const JournalFrame& frame) {
    const JournalRecord& record = frame.record;
    if (record.outcome != Outcome::kSigned) return;
    if (claim.result && record.intent != Intent::kSignResult) return;
    for (Found& item : found) {
      if (!item.row && item.digest == record.digest) item.row = RowOf(record);
    }
  };
  JournalState state;
  ArchiveFacts facts;
  RETURN_IF_ERROR(archive.Read(state, visitor, facts));
  return found;
}

JsonObject ToJson(const Claim& claim, const std::vector<Found>& items, bool known, bool own_key,
                  const std::string& conclusion) {
  JsonArray results;
  for (const Found& item : items) {
    JsonObject result{{"sha256", HexEncode(AsText(item.digest))},
                      {"known", item.row.has_value()},
                      {"record", nullptr},
                      {"inclusion", nullptr}};
    if (item.row) result["record"] = RowJson(*item.row);
    if (item.inclusion) result["inclusion"] = InclusionJson(*item.inclusion);
    results.push_back(std::move(result));
  }
  return {{"known", known},
          {"conclusion", conclusion},
          {"source", claim.source},
          {"items", std::move(results)},
          {"worker_pubkey", claim.key ? HexEncode(*claim.key) : std::string()},
          {"key_of_this_journal", own_key},
          {"signature_holds", claim.signature_holds},
          {"receipt_signer", claim.receipt_signer}};
}

std::string Conclusion(const Claim& claim, bool known, bool own_key) {
  if (known) return "known";
  std::string text = "NOT KNOWN to this journal: signed outside of this keyd, or by another key";
  if (!claim.key) return text;
  if (!own_key) return text + " (it names a key that this journal does not)";
  if (claim.signature_holds) {
    return text + " (the signature is of this journal's own key: the key was used elsewhere)";
  }
  return text + " (it names this journal's own key)";
}

}  // namespace

absl::StatusOr<Inclusion> ProveRecord(const JournalArchive& archive, uint64_t sequence,
                                      const Checkpoint& checkpoint, const std::string& note) {
  if (sequence == 0 || sequence > checkpoint.size) {
    return absl::OutOfRangeError(Cat("record ", sequence,
                                     " is not under the checkpoint, which is "
                                     "over the first ",
                                     checkpoint.size, " records"));
  }
  ASSIGN_OR_RETURN(std::vector<LeafRange> ranges, InclusionRanges(sequence - 1, checkpoint.size));
  RangeHasher hasher(std::move(ranges));
  Inclusion inclusion{sequence, {}, {}, checkpoint, note};
  JournalState state;
  bool whole = true;
  JournalArchive::Visitor visitor;
  visitor.begin = [&] { whole = state.records() == 0; };
  visitor.record = [&](const JournalFrame& frame) {
    if (frame.record.sequence == sequence) inclusion.leaf = frame.record.leaf;
    if (hasher.leaves() < checkpoint.size) hasher.Add(frame.record.leaf);
  };
  ArchiveFacts facts;
  RETURN_IF_ERROR(archive.Read(state, visitor, facts));
  if (!whole) {
    return absl::FailedPreconditionError(
        "the files do not begin with record 1: a proof needs every leaf of the tree");
  }
  ASSIGN_OR_RETURN(inclusion.proof, hasher.Finish());
  RETURN_IF_ERROR(VerifyInclusion(inclusion.leaf, sequence - 1, checkpoint.size, inclusion.proof,
                                  checkpoint.root));
  return inclusion;
}

JsonArray HashesJson(const Proof& proof) {
  JsonArray hashes;
  for (const Digest32& node : proof) hashes.push_back(HexEncode(AsText(node)));
  return hashes;
}

JsonObject InclusionJson(const Inclusion& inclusion) {
  return {{"sequence", inclusion.sequence},
          {"leaf_index", inclusion.sequence - 1},
          {"leaf_hash", HexEncode(AsText(inclusion.leaf))},
          {"tree_size", inclusion.checkpoint.size},
          {"root", HexEncode(AsText(inclusion.checkpoint.root))},
          {"proof", HashesJson(inclusion.proof)},
          {"checkpoint", inclusion.note}};
}

void PrintInclusion(const Output& output, const Inclusion& inclusion) {
  output.Line(Cat("record ", inclusion.sequence, " is leaf ", inclusion.sequence - 1,
                  " of the tree of ", inclusion.checkpoint.size, " records (checked):"));
  output.Line(Cat("  leaf   ", HexEncode(AsText(inclusion.leaf))));
  for (const Digest32& node : inclusion.proof) {
    output.Line(Cat("  node   ", HexEncode(AsText(node))));
  }
  output.Line(Cat("  root   ", HexEncode(AsText(inclusion.checkpoint.root))));
  output.Line("which this checkpoint signs:\n");
  output.Line(inclusion.note);
}

int CompareWithJournal(Session& session, const JournalArchive& archive, const AuditReport& report,
                       const Claim& claim) {
  const Output& output = session.output;
  absl::StatusOr<std::vector<Found>> items = LookUp(archive, claim);
  if (!items.ok()) {
    output.Error("audit", items.status());
    return kExitFailure;
  }
  size_t records = 0;
  for (Found& item : *items) {
    records += item.row.has_value() ? 1 : 0;
    if (!item.row || !report.newest || item.row->sequence() > report.newest->size) continue;
    absl::StatusOr<Inclusion> inclusion =
        ProveRecord(archive, item.row->sequence(), *report.newest, report.newest_note);
    if (inclusion.ok()) item.inclusion = *std::move(inclusion);
  }
  const bool own_key =
      claim.key && std::any_of(report.keys.begin(), report.keys.end(),
                               [&](const AuditKey& key) { return key.public_key == *claim.key; });
  // A receipt is for one worker, and names the agreeing results of others beside that worker's.
  const bool known =
      claim.receipt ? records > 0 && (own_key || !claim.key) : records == items->size();
  const std::string conclusion = Conclusion(claim, known, own_key);
  if (output.json()) {
    output.Json(ToJson(claim, *items, known, own_key, conclusion));
    return known ? kExitOk : kExitFailure;
  }
  for (const Found& item : *items) {
    const std::string digest = HexEncode(AsText(item.digest));
    if (!item.row) {
      output.Line(Cat(digest, known ? ": another worker's result, which agrees"
                                    : ": no record of this journal"));
      continue;
    }
    output.Line(Cat(digest, ": known, record ", item.row->sequence()));
    output.Line(Cat("  ", RowLine(*item.row)));
    if (item.inclusion) {
      PrintInclusion(output, *item.inclusion);
    } else {
      output.Line("  no checkpoint covers the record yet: audit head --sign");
    }
  }
  if (!claim.receipt_signer.empty()) {
    output.Line(Cat("the receipt is signed by ", Clean(claim.receipt_signer)));
  }
  if (claim.signature_holds) output.Line("the worker's signature holds");
  if (known) {
    output.Line(output.terminal().Paint(conclusion, Style::kGood));
    return kExitOk;
  }
  output.Error("audit", Cat(Clean(claim.source), ": ", conclusion),
               own_key
                   ? "treat the key as known to others: make a new one and tell the coordinator"
                   : "compare the keys; another worker's record is no business of this journal");
  return kExitFailure;
}

}  // namespace auspex::cli
