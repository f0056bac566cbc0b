// SPDX-License-Identifier: AGPL-3.0-only
// A journal made by the test itself, frame by frame, with a key of its own: what the readers are
// held against. And files of tests. One thread.
#ifndef AUSPEX_TESTS_JOURNAL_MADE_JOURNAL_H_
#define AUSPEX_TESTS_JOURNAL_MADE_JOURNAL_H_

#include <sodium/crypto_sign_ed25519.h>

#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/journal/note.h"
#include "common/journal/record.h"
#include "common/journal/segment.h"

namespace auspex::testing {

struct TestKey {
  explicit TestKey(unsigned char fill) {
    std::array<unsigned char, 32> seed, pub;
    seed.fill(fill);
    crypto_sign_ed25519_seed_keypair(pub.data(), secret.data(), seed.data());
    public_key.assign(reinterpret_cast<const char*>(pub.data()), pub.size());
  }
  std::string Sign(const std::string& text) const {
    std::array<unsigned char, 64> out;
    crypto_sign_ed25519_detached(out.data(), nullptr,
                                 reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                 secret.data());
    return {reinterpret_cast<const char*>(out.data()), out.size()};
  }
  std::array<unsigned char, 64> secret;
  std::string public_key;
};

class MadeJournal {
 public:
  explicit MadeJournal(unsigned char id_fill = 0x11) : id_(16, static_cast<char>(id_fill)) {
    Rotate();
  }

  uint64_t records() const { return tree_.size(); }
  const CompactTree& tree() const { return tree_; }
  const std::string& newest_note() const { return newest_note_; }
  const std::map<std::string, std::string>& segments() const { return segments_; }
  std::string origin() const { return OriginOf(id_); }

  uint64_t Add(JournalEntry entry) {
    entry.time_micros = now_ += 1'000'000;
    const std::string body = EncodeRecordBody(entry, tree_.size() + 1);
    Frame(body);
    tree_.Append(LeafHash(body));
    return tree_.size();
  }
  uint64_t Add(Intent intent, Outcome outcome, std::string subject, Digest32 digest = {}) {
    JournalEntry entry;
    entry.caller = {Role::kRequest, 7, 1000};
    entry.intent = intent;
    entry.outcome = outcome;
    entry.subject = std::move(subject);
    entry.unit = outcome == Outcome::kSigned ? "unit-1" : "";
    entry.cause = outcome == Outcome::kRefused ? "because" : "";
    entry.digest = digest;
    return Add(entry);
  }
  uint64_t AddKey(const TestKey& key) {
    return Add(Intent::kCreateKey, Outcome::kDone, HexEncode(key.public_key));
  }
  uint64_t AddSigned(const std::string& octets, const std::string& subject = "asg-1") {
    return Add(Intent::kSignResult, Outcome::kSigned, subject, ToDigest(Sha256(octets)));
  }
  // The note of `size` records with `root`, as keyd would sign it of this journal.
  std::string NoteOf(const TestKey& key, uint64_t size, const Digest32& root) const {
    const Checkpoint checkpoint{origin(), size, root};
    return ComposeNote(checkpoint, key.public_key, key.Sign(NoteText(checkpoint)));
  }
  // Records and signs a checkpoint of what there is. `signer` may be another than the journal's.
  std::string AddCheckpoint(const TestKey& signer) {
    const Checkpoint checkpoint{origin(), tree_.size(), tree_.Root()};
    JournalEntry entry;
    entry.caller.role = Role::kSelf;
    entry.intent = Intent::kSignCheckpoint;
    entry.outcome = Outcome::kSigned;
    entry.digest = ToDigest(Sha256(NoteText(checkpoint)));
    if (!newest_note_.empty()) entry.bound = ToDigest(Sha256(newest_note_));
    const std::string note = NoteOf(signer, checkpoint.size, checkpoint.root);
    Add(entry);
    Frame(EncodeCheckpointBody(note));
    newest_note_ = note;
    return note;
  }
  // The next record begins a new segment.
  void Rotate() {
    name_ = SegmentName(tree_.size() + 1);
    segments_[name_] = EncodeSegmentHeader({id_, now_, tree_, newest_note_});
  }
  // Writes the segments, and the newest note as keyd does.
  void Write(const std::string& folder) const;

  std::map<std::string, std::string>& changeable() { return segments_; }
  // Where the frame of each record begins: file and offset.
  const std::map<uint64_t, std::pair<std::string, size_t>>& places() const { return places_; }

 private:
  void Frame(const std::string& body) {
    if (static_cast<unsigned char>(body[0]) == kRecordKind) {
      places_[tree_.size() + 1] = {name_, segments_[name_].size()};
    }
    AppendFrame(segments_[name_], body, FrameCheck(body), true);
  }

  const std::string id_;
  int64_t now_ = 1'716'000'000'000'000;
  CompactTree tree_;
  std::string newest_note_, name_;
  std::map<std::string, std::string> segments_;
  std::map<uint64_t, std::pair<std::string, size_t>> places_;
};

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void MadeJournal::Write(const std::string& folder) const {
  for (const auto& [name, octets] : segments_) WriteText(folder + "/" + name, octets);
  if (!newest_note_.empty()) WriteText(folder + "/checkpoint", newest_note_);
}

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_JOURNAL_MADE_JOURNAL_H_
