// SPDX-License-Identifier: AGPL-3.0-only
// Checkpoint notes: against a note that was published by others, against a composition of the
// test's own, and against everything that is not quite one.
#include "common/journal/note.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium/crypto_sign_ed25519.h>

#include <array>
#include <string>

#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kDash[] = "\xE2\x80\x94";

// A key of the test, by its seed.
struct Key {
  explicit Key(unsigned char fill) {
    std::array<unsigned char, 32> seed;
    seed.fill(fill);
    std::array<unsigned char, 32> pub;
    crypto_sign_ed25519_seed_keypair(pub.data(), secret.data(), seed.data());
    public_key.assign(reinterpret_cast<const char*>(pub.data()), pub.size());
  }
  std::string Sign(const std::string& text) const {
    std::array<unsigned char, 64> signature;
    crypto_sign_ed25519_detached(signature.data(), nullptr,
                                 reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                 secret.data());
    return {reinterpret_cast<const char*>(signature.data()), signature.size()};
  }
  std::array<unsigned char, 64> secret;
  std::string public_key;
};

Checkpoint SomeCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.origin = "auspex.journal/000102030405060708090a0b0c0d0e0f";
  checkpoint.size = 1234;
  checkpoint.root.fill('0');
  return checkpoint;
}

std::string SomeNote(const Key& key) {
  return ComposeNote(SomeCheckpoint(), key.public_key, key.Sign(NoteText(SomeCheckpoint())));
}

// The example of Go's sumdb/note package, which C2SP signed-note grew out of: its verifier key
// names the key id, and the signature line begins with the same four octets.
TEST(Note, KeyIdsAndSignaturesAreThoseOfTheFormatsOwnExample) {
  const std::string text =
      "If you think cryptography is the answer to your problem,\n"
      "then you don't know what your problem is.\n";
  const std::string key =
      *Base64Decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");  // type 1, then the key
  ASSERT_EQ(key.size(), 33u);
  ASSERT_EQ(key[0], 1);
  EXPECT_EQ(HexEncode(NoteKeyId("PeterNeumann", key.substr(1))), "c74f20a3");
  const std::string line = *Base64Decode(
      "x08go/ZJkuBS9UG/"
      "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=");
  EXPECT_EQ(line.substr(0, 4), NoteKeyId("PeterNeumann", key.substr(1)));
  EXPECT_TRUE(Ed25519Verify(key.substr(1), text, line.substr(4)));
}

TEST(Note, IsWhatTheSpecificationComposes) {
  const Key key(7);
  const std::string name = "auspex.journal/000102030405060708090a0b0c0d0e0f";
  EXPECT_EQ(
      OriginOf(std::string("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16)),
      name);
  const std::string text = name + "\n1234\nMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=\n";
  EXPECT_EQ(NoteText(SomeCheckpoint()), text);
  // signed-note: the key id is over name, line feed, type and key; the line has id and signature.
  const std::string id = Sha256(name + "\n\x01" + key.public_key).substr(0, 4);
  const std::string expected =
      text + "\n" + kDash + " " + name + " " + Base64Encode(id + key.Sign(text)) + "\n";
  EXPECT_EQ(SomeNote(key), expected);

  const absl::StatusOr<SignedCheckpoint> note = ParseNote(expected);
  ASSERT_TRUE(note.ok()) << note.status();
  EXPECT_EQ(note->checkpoint, SomeCheckpoint());
  EXPECT_EQ(note->key_id, id);
  EXPECT_TRUE(CheckNote(*note, key.public_key).ok());
}

TEST(Note, AnotherKeysAndAForgedOneAreToldApart) {
  const Key key(7), other(8);
  const SignedCheckpoint good = *ParseNote(SomeNote(key));
  EXPECT_TRUE(absl::IsPermissionDenied(CheckNote(good, other.public_key)));
  // The right key's id over the other's signature.
  SignedCheckpoint forged = good;
  forged.signature = other.Sign(NoteText(good.checkpoint));
  EXPECT_TRUE(absl::IsDataLoss(CheckNote(forged, key.public_key)));
  SignedCheckpoint grown = good;
  grown.checkpoint.size += 1;
  EXPECT_TRUE(absl::IsDataLoss(CheckNote(grown, key.public_key)));
  SignedCheckpoint rerooted = good;
  rerooted.checkpoint.root[0] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(CheckNote(rerooted, key.public_key)));
}

TEST(Note, LargestAndSmallestSizesAreTaken) {
  const Key key(7);
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    Checkpoint checkpoint = SomeCheckpoint();
    checkpoint.size = size;
    const std::string text = ComposeNote(checkpoint, key.public_key, std::string(64, 's'));
    EXPECT_LE(text.size(), kMaxNoteOctets);
    const auto note = ParseNote(text);
    ASSERT_TRUE(note.ok()) << note.status();
    EXPECT_EQ(note->checkpoint.size, size);
  }
}

// No octet of a note can be changed, dropped or doubled so that it is still a note that holds.
TEST(Note, EveryChangedOctetIsNoticed) {
  const Key key(7);
  const std::string good = SomeNote(key);
  const auto passes = [&](const std::string& text) {
    const auto note = ParseNote(text);
    return note.ok() && CheckNote(*note, key.public_key).ok();
  };
  ASSERT_TRUE(passes(good));
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int flip : {1, 0x20, 0x80}) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      EXPECT_FALSE(passes(changed)) << "octet " << at << " ^ " << flip;
    }
    EXPECT_FALSE(passes(good.substr(0, at))) << "cut at " << at;
    EXPECT_FALSE(passes(std::string(good).erase(at, 1))) << "without octet " << at;
    EXPECT_FALSE(passes(std::string(good).insert(at, 1, good[at]))) << "octet twice " << at;
  }
}

TEST(Note, OtherSpellingsAreRefusedByLine) {
  const Key key(7);
  const std::string good = SomeNote(key);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const auto why = [](const std::string& text) {
    const auto note = ParseNote(text);
    EXPECT_FALSE(note.ok());
    EXPECT_TRUE(note.ok() || absl::IsInvalidArgument(note.status()));
    return note.ok() ? "taken" : std::string(note.status().message());
  };
  EXPECT_THAT(why(""), StartsWith("checkpoint: line 1"));
  EXPECT_THAT(why("example.org/log\n1\n"), StartsWith("checkpoint: line 1"));
  EXPECT_THAT(why(with("auspex.journal/0001", "auspex.journal/00")),
              StartsWith("checkpoint: line 1"));
  EXPECT_THAT(why(with("0a0b0c0d0e0f\n1", "0A0b0c0d0e0f\n1")), StartsWith("checkpoint: line 1"));
  EXPECT_THAT(why(with("1234", "")), StartsWith("checkpoint: line 2"));
  EXPECT_THAT(why(with("1234", "+1234")), StartsWith("checkpoint: line 2"));
  EXPECT_THAT(why(with("1234", "-1")), StartsWith("checkpoint: line 2"));
  EXPECT_THAT(why(with("1234", "18446744073709551616")), StartsWith("checkpoint: line 2"));
  EXPECT_THAT(why(with("1234", "01234")), HasSubstr("one spelling"));
  EXPECT_THAT(why(with("MDAw", "")), StartsWith("checkpoint: line 3"));
  EXPECT_THAT(why(with("MDA=", "MDB=")), StartsWith("checkpoint: line 3"));
  EXPECT_THAT(why(with("=\n\n", "=\nextension\n\n")), StartsWith("checkpoint: line 4"));
  EXPECT_THAT(why(with(kDash, "-")), StartsWith("checkpoint: line 5"));
  EXPECT_THAT(why(good + good.substr(good.find(kDash))), HasSubstr("one spelling"));
  EXPECT_THAT(why(good + "\n"), HasSubstr("one spelling"));
  EXPECT_THAT(why(with("1234\n", "1234\r\n")), StartsWith("checkpoint: line 2"));
  EXPECT_THAT(why(std::string(kMaxNoteOctets + 1, 'a')), HasSubstr("1024 octets"));
}

}  // namespace
}  // namespace auspex
