// SPDX-License-Identifier: AGPL-3.0-only
// audit verify: the whole journal from its files alone, and in words what that shows and what not.
#include "cli/verbs/arguments.h"
#include "cli/verbs/audit_verbs.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex::cli {
namespace {

struct VerifyOptions {
  JournalFiles files;
  std::vector<std::string> keys, checkpoints;
};

// The report with what the verb makes of it.
struct Verdict {
  const AuditReport& report;
  const TrustedKeys& trusted;
  bool good = false;
  std::string why_not;  // in one sentence
};

Verdict Judge(const AuditReport& report, const TrustedKeys& trusted, bool key_given) {
  Verdict verdict{report, trusted, false, ""};
  if (report.fault) {
    verdict.why_not = FaultText(*report.fault);
  } else if (key_given && report.attested == 0) {
    verdict.why_not = "no checkpoint of this journal is signed by the key that was given";
  } else {
    verdict.good = true;
  }
  return verdict;
}

std::vector<std::string> Verified(const AuditReport& report) {
  std::vector<std::string> lines;
  if (report.last == 0) return {"the segments' heads; there is no record"};
  lines.push_back(Cat("records ", report.first, " to ", report.last,
                      ": each is whole, in its place, and part of the root above"));
  if (report.attested != 0) {
    lines.push_back(
        Cat("records up to ", report.attested, " are under a checkpoint whose signature holds",
            report.attested < report.last
                ? Cat("; ", report.last - report.attested,
                      report.last - report.attested == 1 ? " more follows" : " more follow")
                : std::string()));
  }
  for (const std::string& name : report.continues) {
    lines.push_back(Cat("the journal continues the checkpoint in ", Clean(name)));
  }
  return lines;
}

std::vector<std::string> NotVerified(const AuditReport& report, const TrustedKeys& trusted) {
  std::vector<std::string> lines;
  if (report.first > 1) {
    lines.push_back(
        Cat("records 1 to ", report.first - 1, ": they are not in these files, only their hashes"));
  }
  if (trusted.keys.empty()) {
    lines.push_back(
        "that the key is the worker's: whoever wrote the files could have named another; "
        "give it with --key");
  }
  if (report.attested < report.last) {
    lines.push_back(Cat("the records after ", report.attested,
                        ": no checkpoint signs them (its own record always comes after it), so "
                        "whoever can write the files could have rewritten them"));
  }
  if (report.verified < report.checkpoints) {
    lines.push_back(Cat(report.checkpoints - report.verified,
                        " checkpoints are of a key that is not known here"));
  }
  lines.push_back(
      report.continues.empty()
          ? "that nothing was rolled back: an older copy of all files, put back whole, looks just "
            "as good; keep a checkpoint elsewhere (audit head --sign --note) and give it with "
            "--checkpoint"
          : "that nothing after the kept checkpoint was rolled back");
  return lines;
}

JsonArray Texts(const std::vector<std::string>& lines) {
  JsonArray array;
  for (const std::string& line : lines) array.push_back(line);
  return array;
}

JsonObject ToJson(const Verdict& verdict, const std::string& name) {
  const AuditReport& report = verdict.report;
  JsonArray keys;
  for (const AuditKey& key : report.keys) {
    keys.push_back(JsonObject{{"public_key", HexEncode(key.public_key)},
                              {"trusted", key.trusted},
                              {"named_by_record", key.named_at},
                              {"checkpoints", key.checkpoints}});
  }
  JsonObject intents;
  for (const auto& [intent, counts] : report.intents) {
    intents.emplace(
        IntentWord(intent),
        JsonObject{{"signed", counts.signed_}, {"done", counts.done}, {"refused", counts.refused}});
  }
  return {{"good", verdict.good},
          {"why_not", verdict.why_not},
          {"fault", FaultJson(report.fault)},
          {"journal", name},
          {"origin", report.origin},
          {"segments", report.facts.segments},
          {"octets", report.facts.octets},
          {"torn_octets", report.facts.torn_octets},
          {"first_record", report.first},
          {"last_record", report.last},
          {"first_time", report.last == 0 ? "" : ShowTime(report.first_time_micros)},
          {"last_time", report.last == 0 ? "" : ShowTime(report.last_time_micros)},
          {"clock_steps_back", report.clock_steps_back},
          {"root", HexEncode(AsText(report.root))},
          {"intents", std::move(intents)},
          {"keys", std::move(keys)},
          {"keys_from", verdict.trusted.from},
          {"checkpoints", report.checkpoints},
          {"checkpoints_verified", report.verified},
          {"newest_checkpoint", report.newest_note},
          {"attested_records", report.attested},
          {"continues", Texts(report.continues)},
          {"verified", Texts(report.fault ? std::vector<std::string>() : Verified(report))},
          {"not_verified", Texts(NotVerified(report, verdict.trusted))}};
}

void Print(const Output& output, const Verdict& verdict, const std::string& name) {
  const AuditReport& report = verdict.report;
  OutcomeCounts all;
  for (const auto& [intent, counts] : report.intents) {
    all.signed_ += counts.signed_;
    all.done += counts.done;
    all.refused += counts.refused;
  }
  output.Fields(
      {{"journal", Clean(name)},
       {"origin", Clean(report.origin)},
       {"files",
        Cat(report.facts.segments, report.facts.segments == 1 ? " segment, " : " segments, ",
            report.facts.octets, " octets")},
       {"records", report.last == 0
                       ? "none"
                       : Cat(report.first, " to ", report.last, ": ", all.signed_, " signed, ",
                             all.done, " done, ", all.refused, " refused")},
       {"time", report.last == 0 ? ""
                                 : Cat(ShowTime(report.first_time_micros), " to ",
                                       ShowTime(report.last_time_micros))},
       {"clock", report.clock_steps_back == 0
                     ? ""
                     : Cat("stepped back ", report.clock_steps_back, " times")},
       {"root", HexEncode(AsText(report.root))},
       {"checkpoints", Cat(report.checkpoints, ", ", report.verified, " verified")},
       {"torn end", report.facts.torn_octets == 0
                        ? ""
                        : Cat(report.facts.torn_octets,
                              " octets of an unfinished write; keyd cuts them off at its start")},
       {"keys", verdict.trusted.from}});
  for (const AuditKey& key : report.keys) {
    output.Line(Cat("  ", HexEncode(key.public_key), "  ", key.checkpoints, " checkpoints",
                    key.trusted ? ", trusted" : "",
                    key.named_at == 0 ? std::string() : Cat(", named by record ", key.named_at)));
  }
  if (!report.fault) {
    output.Line("verified:");
    for (const std::string& line : Verified(report)) output.Line(Cat("  ", line));
    output.Line("cannot be seen from these files:");
    for (const std::string& line : NotVerified(report, verdict.trusted)) {
      output.Line(Cat("  ", line));
    }
  }
  if (verdict.good) {
    output.Line(output.terminal().Paint("good", Style::kGood));
  } else {
    output.Error("audit", Cat("NOT GOOD: ", verdict.why_not),
                 report.fault ? "keep the files as they are, and compare them with a backup"
                              : "compare the key with the one that the coordinator knows");
  }
}

int RunVerify(Session& session, const VerifyOptions& options) {
  const Output& output = session.output;
  AuditRequest request;
  for (const std::string& path : options.checkpoints) {
    absl::StatusOr<KeptNote> note = ReadNoteFile(path);
    if (!note.ok()) {
      output.Error("audit", note.status());
      return kExitFailure;
    }
    request.kept.push_back(*std::move(note));
  }
  const TrustedKeys trusted = KeysFor(session, options.keys, options.files);
  request.trusted_keys = trusted.keys;
  const auto archive = Open(session, options.files);
  const absl::StatusOr<AuditReport> report = AuditJournal(*archive, request);
  if (!report.ok()) {
    output.Error("audit", report.status(), "name the journal's folder with --journal DIR");
    return kExitFailure;
  }
  const Verdict verdict = Judge(*report, trusted, !options.keys.empty());
  if (output.json()) {
    output.Json(ToJson(verdict, archive->name()));
  } else {
    Print(output, verdict, archive->name());
  }
  return verdict.good ? kExitOk : kExitFailure;
}

}  // namespace

void AddAuditVerify(CLI::App& audit, Chosen& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* verify = audit.add_subcommand("verify", "Check the whole journal from its files alone");
  AddFileOptions(*verify, options->files);
  AddKeyOption(*verify, options->keys);
  verify
      ->add_option("--checkpoint", options->checkpoints,
                   "A checkpoint kept earlier, which the journal must continue (may be repeated)")
      ->type_name("FILE")
      ->take_all();
  verify->footer(
      "Needs neither keyd nor its key. Exit code 1 when the journal is not good; the message "
      "names\n"
      "file, offset and record.\n\n"
      "Example: auspex audit verify --checkpoint kept.txt\n"
      "Example: auspex audit verify --journal copy-of-journal --key 9f86d081...\n"
      "Example: auspex audit verify --export journal.jsonl");
  Runs(verify, chosen, options, RunVerify);
}

}  // namespace auspex::cli
