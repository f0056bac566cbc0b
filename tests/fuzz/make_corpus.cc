// SPDX-License-Identifier: AGPL-3.0-only
// Makes the inputs of tests/fuzz/corpus anew, one folder a target:
//   fuzz_make_corpus tests/fuzz/corpus
// For changes of a format: the inputs are committed, so that what a test replays stays the same.
// Inputs that a fuzzer found are added by hand and are left alone.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "common/journal/export.h"
#include "common/journal/source.h"
#include "common/receipt/receipt.h"
#include "keyd/seal.h"
#include "tests/fuzz/sandbox_corpus.h"
#include "tests/journal/made_journal.h"

namespace auspex {
namespace {

using testing::MadeJournal;
using testing::TestKey;

class Corpus {
 public:
  Corpus(const std::string& root, const std::string& target) : folder_(root + "/" + target) {
    std::filesystem::create_directories(folder_);
  }
  void Add(const std::string& name, const std::string& octets) const {
    testing::WriteText(folder_ + "/" + name, octets);
  }

 private:
  const std::string folder_;
};

void Checkpoints(const Corpus& corpus) {
  const TestKey key(3);
  MadeJournal journal;
  corpus.Add("empty-journal", journal.NoteOf(key, 0, EmptyRoot()));
  journal.AddKey(key);
  const std::string note = journal.AddCheckpoint(key);
  corpus.Add("one-record", note);
  corpus.Add("largest", journal.NoteOf(key, ~uint64_t{0}, EmptyRoot()));
  corpus.Add("two-signatures", note + note.substr(note.rfind('\n', note.size() - 2) + 1));
  corpus.Add("leading-zero", std::string(note).replace(note.find("\n1\n"), 3, "\n01\n"));
  corpus.Add("carriage-return", std::string(note).replace(note.find("\n1\n"), 3, "\r\n1\r\n"));
  corpus.Add("no-signature", note.substr(0, note.find("\n\n") + 2));
  corpus.Add("text-alone", note.substr(0, note.find("\n\n") + 1));
}

// The first octet of a journal's input: its first record less one, high bit: not the last segment.
void Journals(const Corpus& corpus) {
  const TestKey key(3);
  MadeJournal journal;
  const auto whole = [&](uint64_t first, bool last = true) {
    return std::string(1, static_cast<char>((first - 1) | (last ? 0 : 0x80))) +
           journal.segments().at(SegmentName(first));
  };
  corpus.Add("header-alone", whole(1));
  journal.AddKey(key);
  journal.AddSigned("result");
  journal.Add(Intent::kRetire, Outcome::kRefused, std::string(255, 'w'));
  corpus.Add("three-records", whole(1));
  journal.AddCheckpoint(key);
  corpus.Add("a-checkpoint", whole(1));
  corpus.Add("not-the-last", whole(1, false));
  corpus.Add("room-behind", whole(1) + std::string(2000, '\0'));
  corpus.Add("torn-end", whole(1).substr(0, whole(1).size() - 40));
  journal.Rotate();
  journal.AddSigned("next");
  journal.AddCheckpoint(key);
  corpus.Add("second-segment", whole(5));
  std::string zeros = whole(1);
  for (size_t at = 512; at < 1024 && at < zeros.size(); ++at) zeros[at] = '\0';
  corpus.Add("a-missing-sector", zeros);
  std::string later = whole(1);
  later[17] = 3;
  corpus.Add("version-of-the-future", later);
}

// The frames' bodies of `segment`, each after its length: the form without checks.
std::string BodiesOf(const std::string& segment) {
  const MemoryJournalSource source(segment);
  std::string out(1, '\x40');
  size_t at = ReadSegmentHeader(source, SegmentName(1))->octets;
  while (at + 4 < segment.size()) {
    const size_t length =
        *LengthOfWord(static_cast<uint32_t>(ReadLe(std::string_view(segment).substr(at, 4))));
    AppendLe(out, length, 2);
    out += segment.substr(at + 4, length);
    at += 4 + length + sizeof(Digest32);
  }
  return out;
}

void JournalsWithoutChecks(const Corpus& corpus) {
  const TestKey key(3);
  MadeJournal journal;
  journal.AddKey(key);
  journal.Add(Intent::kRetire, Outcome::kRefused, "w-1");
  corpus.Add("bodies", BodiesOf(journal.segments().at(SegmentName(1))));
  journal.AddCheckpoint(key);
  journal.AddCheckpoint(key);
  corpus.Add("bodies-with-checkpoints", BodiesOf(journal.segments().at(SegmentName(1))));
}

void Exports(const Corpus& corpus) {
  std::string folder = "/tmp/auspex-corpus-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) std::abort();
  const TestKey key(3);
  MadeJournal journal;
  journal.AddKey(key);
  journal.AddSigned("result");
  journal.AddCheckpoint(key);
  journal.Add(Intent::kPoll, Outcome::kRefused, "no \xff utf-8");
  journal.AddCheckpoint(key);
  journal.Write(folder);
  const auto lines = [&](const ExportRange& range) {
    std::string text;
    const auto summary = ExportJournal(*OpenJournalFolder(folder), range, [&](std::string_view l) {
      text += l;
      return absl::OkStatus();
    });
    if (!summary.ok()) std::abort();
    return text;
  };
  const std::string whole = lines({});
  corpus.Add("whole", whole);
  corpus.Add("from-3", lines({3, 99}));
  corpus.Add("only-2", lines({2, 2}));
  corpus.Add("without-end", whole.substr(0, whole.rfind("{\"end\"")));
  corpus.Add("no-line-feed", whole.substr(0, whole.size() - 1));
  corpus.Add("end-twice", whole + whole.substr(whole.rfind("{\"end\"")));
  corpus.Add("empty-line", "\n" + whole);
  (void)RemoveTree(folder);
}

void Intents(const Corpus& corpus) {
  const std::string end(1, '\x1e');
  const std::string digest(32, 'd');
  const auto fields = [&](char kind, const std::vector<std::string>& texts) {
    std::string input(1, kind);
    for (const std::string& text : texts) input += text + end;
    return input;
  };
  const auto request = [&](Intent intent) {
    return fields(static_cast<char>('@' + static_cast<int>(intent)),
                  {"unit-1", "asg-1", "res-1", "acct-1", std::string(64, 'a'), digest});
  };
  for (int number = 1; number <= 15; ++number) {
    if (const auto intent = IntentOf(static_cast<uint8_t>(number))) {
      corpus.Add(std::string(IntentWord(*intent)), request(*intent));
    }
  }
  corpus.Add("line-in-an-id",
             fields('D', {"unit\n\"@path\": /x", "asg-1", "res-1", "acct-1", "", digest}));
  corpus.Add("dots-in-an-id", fields('C', {"..", "..", "..", "..", "", digest}));
  corpus.Add("slash-in-an-id", fields('E', {"a/b", "a/b", "a/b?c#d", "a%2fb", "", digest}));
  const std::string time = "2026-07-19T23:21:50.000123+00:00";
  corpus.Add("result",
             fields('R', {"u-1", "asg-1", time, "0", "2", "strict", "", "", "{\"n\":1}"}));
  corpus.Add("result-with-weights",
             fields('R', {"u-1", "asg-1", time, "7", "1", "permissive", "model-1",
                          std::string(64, 'F'), R"({"a":[1.5,null,"\u00e9"]})"}));
  corpus.Add("result-version-0", fields('R', {"u-1", "asg-1", time, "0", "0", "", "", "", "{}"}));
  corpus.Add("result-escapes-payload", fields('R', {"u-1", "asg-1", time, "0", "2", "strict", "",
                                                    "", R"({},"unit_id":"u-2","x":{})"}));
  corpus.Add("raw-text", fields('T', {"u-1", "asg-1", digest}));
}

void Json(const Corpus& reader, const Corpus& payload) {
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"empty-object", "{}"},
      {"canonical", R"({"a":[1,-2.5,1e+22,true,null],"b":{"":"\u00e9\ud83d\ude00"}})"},
      {"lone-surrogate", R"({"a":"\ud800"})"},
      {"not-sorted", R"({"b":1,"a":2})"},
      {"twice", R"({"a":1,"a":2})"},
      {"not-finite", R"({"a":[NaN,Infinity,-Infinity,1e999]})"},
      {"numbers", R"({"a":[0,-0,-0.0,0.1,1e16,1e15,123456789012345678901234567890,5e-324]})"},
      {"deep", std::string(130, '[') + std::string(130, ']')},
      {"deep-objects", R"({"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}})"},
      {"escapes", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u007f\"}"},
      {"raw-utf8", "{\"caf\xc3\xa9\":1}"},
      {"bad-utf8", "{\"a\":\"\xc0\xaf\xed\xa0\x80\"}"},
      {"trailing", "{} "},
      {"byte-order-mark", "\xef\xbb\xbf{}"},
      {"cut-short", R"({"a":[1,2,)"},
  };
  for (const auto& [name, text] : texts) {
    reader.Add(name, text);
    payload.Add(name, text);
  }
}

void Receipts(const Corpus& corpus) {
  const TestKey key(4);
  Receipt receipt;
  receipt.tenant_id = "lab";
  receipt.experiment_id = "exp";
  receipt.worker_pubkey = key.public_key;
  receipt.work_unit_ids = {"u-1", "u-2"};
  receipt.window_start = receipt.window_end = "2026-07-19T23:21:50Z";
  receipt.replication_factor = receipt.agreeing_workers = 2;
  receipt.method = "exact";
  receipt.anchors.push_back({7, "entry", std::string(64, 'a')});
  const std::string body = EncodeReceiptBody(receipt);
  const std::string statement = EncodeStatement("rcp-1", body);
  const auto envelope = [&](const std::string& payload) {
    return EncodeEnvelope(payload, HexEncode(key.public_key),
                          [&](std::string_view octets) { return key.Sign(std::string(octets)); });
  };
  corpus.Add("body", body);
  corpus.Add("statement", statement);
  corpus.Add("envelope", envelope(statement));
  corpus.Add("bare-envelope", envelope(body));
  corpus.Add("cut-short", envelope(statement).substr(0, 90));
  corpus.Add("long-form-length", std::string("\x98\x01\x00", 3));
  corpus.Add("indefinite", std::string("\x9f\x01\xff", 3));
  corpus.Add("huge-length", std::string("\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9));
  corpus.Add("deep", std::string(200, '\x81') + std::string(1, '\x00'));
}

// Sealed with secrets that the fuzz target does not have.
void SealedKeys(const Corpus& corpus) {
  std::string folder = "/tmp/auspex-corpus-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) std::abort();
  keyd::SealSources sources;
  sources.credential_path = folder + "/credential";
  sources.passphrase_path = folder + "/passphrase";
  sources.local_secret_path = folder + "/seal.key";
  for (const std::string& path :
       {sources.credential_path, sources.passphrase_path, sources.local_secret_path}) {
    if (!WriteFileAtomically(path, std::string(32, 't'), 0600).ok()) std::abort();
  }
  const keyd::PassphraseCost least{1, 8 << 20};
  for (const keyd::SealKind kind :
       {keyd::SealKind::kCredential, keyd::SealKind::kPassphrase, keyd::SealKind::kLocalSecret}) {
    const auto key = keyd::SecretKey::Generate();
    if (!key.ok()) std::abort();
    const auto sealed = keyd::SealKey(*key, kind, sources, least);
    if (!sealed.ok()) std::abort();
    corpus.Add(std::string(keyd::SealWord(kind)), *sealed);
    if (kind != keyd::SealKind::kLocalSecret) continue;
    corpus.Add("cut-short", sealed->substr(0, 111));
    corpus.Add("one-more", *sealed + "x");
    std::string later = *sealed;
    later[16] = 9;
    corpus.Add("version-of-the-future", later);
    std::string other = *sealed;
    other[20] = 77;
    corpus.Add("unknown-seal", other);
  }
  corpus.Add("raw-seed", std::string(32, 's'));
  corpus.Add("hex-seed", std::string(64, '7') + "\n");
  (void)RemoveTree(folder);
}

}  // namespace
}  // namespace auspex

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_make_corpus FOLDER\n");
    return 2;
  }
  const std::string root = argv[1];
  const auto of = [&](const char* target) { return auspex::Corpus(root, target); };
  auspex::Checkpoints(of("checkpoint"));
  auspex::Journals(of("journal"));
  auspex::JournalsWithoutChecks(of("journal"));
  auspex::Exports(of("journal_export"));
  auspex::Intents(of("intent"));
  auspex::Json(of("json_reader"), of("payload"));
  auspex::Receipts(of("receipt"));
  auspex::SealedKeys(of("sealed_key"));
  auspex::MakeSandboxCorpora(
      [&](const std::string& target, const std::string& name, const std::string& octets) {
        of(target.c_str()).Add(name, octets);
      });
  return 0;
}
