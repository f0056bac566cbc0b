// SPDX-License-Identifier: AGPL-3.0-only
// The key at rest: every source of the seal, every damage of the file, and nothing of the seed in
// any of them.
#include "keyd/key_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/encoding.h"
#include "common/files/files.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

constexpr PassphraseCost kCheap{1, 8 << 20};

struct Sources {
  Sources() {
    all.credential_path = dir.path() + "/credential";
    all.passphrase_path = dir.path() + "/passphrase";
    all.local_secret_path = dir.path() + "/seal.key";
    EXPECT_TRUE(WriteFileAtomically(all.credential_path, std::string(40, 'c'), 0600).ok());
    EXPECT_TRUE(WriteFileAtomically(all.passphrase_path, "correct horse\n", 0600).ok());
    EXPECT_TRUE(WriteFileAtomically(all.local_secret_path, std::string(32, 'l'), 0600).ok());
  }
  ScratchDir dir;
  SealSources all;
};

const std::string& PathOf(const SealSources& sources, SealKind kind) {
  if (kind == SealKind::kCredential) return sources.credential_path;
  if (kind == SealKind::kPassphrase) return sources.passphrase_path;
  return sources.local_secret_path;
}

constexpr SealKind kKinds[] = {SealKind::kCredential, SealKind::kPassphrase,
                               SealKind::kLocalSecret};

TEST(Seal, EachKindOpensWithItsSourceOnly) {
  for (const SealKind kind : kKinds) {
    SCOPED_TRACE(SealWord(kind));
    const Sources sources;
    const SecretKey key = KeyOf(kSomeSeed);
    const auto sealed = SealKey(key, kind, sources.all, kCheap);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    EXPECT_EQ(sealed->size(), kSealedOctets);
    EXPECT_EQ(*SealKindOf(*sealed), kind);
    EXPECT_EQ(sealed->find(*HexDecode(kSomeSeed)), std::string::npos);
    const auto opened = UnsealKey(*sealed, sources.all);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->public_key(), key.public_key());
    // Two seals of one key share nothing but the public part.
    EXPECT_NE(*sealed, *SealKey(key, kind, sources.all, kCheap));

    ASSERT_TRUE(WriteFileAtomically(PathOf(sources.all, kind), std::string(32, 'x'), 0600).ok());
    const absl::Status other = UnsealKey(*sealed, sources.all).status();
    EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition) << other;
    ASSERT_EQ(::unlink(PathOf(sources.all, kind).c_str()), 0);
    EXPECT_FALSE(UnsealKey(*sealed, sources.all).ok());
  }
}

TEST(Seal, EveryFlippedOctetIsRefused) {
  const Sources sources;
  for (const SealKind kind : {SealKind::kCredential, SealKind::kLocalSecret}) {
    const std::string good = *SealKey(KeyOf(kSomeSeed), kind, sources.all, kCheap);
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x01);
      const absl::Status status = UnsealKey(bad, sources.all).status();
      EXPECT_FALSE(status.ok()) << at;
      // By the seal itself, not by what the wrong octets would have meant.
      if (at >= kSealedOctets - 48) {
        EXPECT_NE(std::string(status.message()).find("does not open"), std::string::npos) << status;
      }
    }
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_FALSE(UnsealKey(good.substr(0, size), sources.all).ok()) << size;
    }
    EXPECT_FALSE(UnsealKey(good + "x", sources.all).ok());
  }
}

TEST(Seal, APassphraseThatOthersCanReadIsNone) {
  const Sources sources;
  const std::string good = *SealKey(KeyOf(kSomeSeed), SealKind::kPassphrase, sources.all, kCheap);
  for (const mode_t mode : {0640, 0604}) {
    ASSERT_EQ(::chmod(sources.all.passphrase_path.c_str(), mode), 0);
    const absl::Status status = UnsealKey(good, sources.all).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(std::string(status.message()).find("chmod"), std::string::npos) << status;
  }
  ASSERT_EQ(::chmod(sources.all.passphrase_path.c_str(), 0400), 0);
  EXPECT_TRUE(UnsealKey(good, sources.all).ok());
}

TEST(Seal, AHeaderCannotAskForEndlessWork) {
  const Sources sources;
  std::string sealed = *SealKey(KeyOf(kSomeSeed), SealKind::kPassphrase, sources.all, kCheap);
  std::string costly = sealed;
  costly[24 + 3] = 1;  // 16 million passes
  EXPECT_EQ(UnsealKey(costly, sources.all).status().code(), absl::StatusCode::kDataLoss);
  costly = sealed;
  costly[32 + 5] = 1;  // a terabyte
  EXPECT_EQ(UnsealKey(costly, sources.all).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Seal, TheFinalLineEndOfAPassphraseFileDoesNotCount) {
  const Sources sources;
  const std::string sealed = *SealKey(KeyOf(kSomeSeed), SealKind::kPassphrase, sources.all, kCheap);
  ASSERT_TRUE(WriteFileAtomically(sources.all.passphrase_path, "correct horse", 0600).ok());
  EXPECT_TRUE(UnsealKey(sealed, sources.all).ok());
  ASSERT_TRUE(WriteFileAtomically(sources.all.passphrase_path, "short\n", 0600).ok());
  EXPECT_EQ(UnsealKey(sealed, sources.all).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(KeyStore, SavesLoadsAndDestroys) {
  const ScratchDir dir;
  SealSources sources;
  sources.local_secret_path = dir.path() + "/seal.key";
  KeyStore store(dir.path(), sources);
  ASSERT_FALSE(store.Load()->has_value());
  ASSERT_TRUE(store.Save(KeyOf(kSomeSeed)).ok());
  for (const char* name : {"/key.sealed", "/seal.key"}) {
    struct stat info;
    ASSERT_EQ(::stat((dir.path() + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  EXPECT_EQ(store.Save(KeyOf(std::string(64, '1'))).code(), absl::StatusCode::kAlreadyExists);
  KeyStore again(dir.path(), sources);
  const auto loaded = again.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->has_value());
  EXPECT_EQ((*loaded)->public_key(), KeyOf(kSomeSeed).public_key());
  EXPECT_EQ(again.seal(), SealKind::kLocalSecret);
  ASSERT_TRUE(again.Destroy().ok());
  ASSERT_TRUE(again.Destroy().ok());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_FALSE(again.Load()->has_value());
}

TEST(KeyStore, AFailedOpenSaysWhatToDo) {
  const ScratchDir dir;
  SealSources sources;
  sources.local_secret_path = dir.path() + "/seal.key";
  KeyStore store(dir.path(), sources);
  ASSERT_TRUE(store.Save(KeyOf(kSomeSeed)).ok());
  ASSERT_EQ(::unlink(sources.local_secret_path.c_str()), 0);
  const absl::Status status = store.Load().status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("key.sealed"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("auspex bootstrap"), absl::string_view::npos) << status;
  // Nor is the file that does not open replaced by a new key.
  EXPECT_EQ(store.Save(KeyOf(kSomeSeed)).code(), absl::StatusCode::kAlreadyExists);
}

TEST(KeyRing, KeepsKeyAndEnrolmentTogether) {
  const ScratchDir dir;
  SealSources sources;
  sources.local_secret_path = dir.path() + "/seal.key";
  {
    const auto ring = *KeyRing::Load(dir.path(), sources);
    EXPECT_FALSE(ring->view().has_key());
    EXPECT_EQ(ring->SetEnrolment(SomeEnrolment()), NoKey());
    ASSERT_TRUE(ring->Install(KeyOf(kSomeSeed)).ok());
    ASSERT_TRUE(ring->SetEnrolment(SomeEnrolment()).ok());
  }
  {
    const auto ring = *KeyRing::Load(dir.path(), sources);
    ASSERT_TRUE(ring->view().has_key());
    ASSERT_NE(ring->view().enrolment(), nullptr);
    ASSERT_TRUE(ring->Destroy().ok());
    ASSERT_TRUE(ring->Install(KeyOf(std::string(64, '2'))).ok());
    EXPECT_EQ(ring->view().enrolment(), nullptr);
  }
  EXPECT_EQ((*KeyRing::Load(dir.path(), sources))->view().enrolment(), nullptr);
}

}  // namespace
}  // namespace auspex::keyd
