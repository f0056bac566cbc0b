// SPDX-License-Identifier: AGPL-3.0-only
// Keys made elsewhere: every accepted form gives the seed, every other one a message that says what
// it is. The existing worker's format is made here by OpenSSL, which shares nothing with keyd.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <span>

#include "common/base/encoding.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "keyd/existing_keystore.h"
#include "keyd/secret_file.h"
#include "tests/keyd/keystore_vectors.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using ::testing::HasSubstr;

constexpr char kMachine[] = "0123456789abcdef0123456789abcdef:1000";

std::span<const unsigned char> Octets(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string HexOf(const absl::StatusOr<SecretMemory>& seed) {
  if (!seed.ok()) return std::string(seed.status().message());
  const auto octets = seed->octets();
  return HexEncode({reinterpret_cast<const char*>(octets.data()), octets.size()});
}

std::string Seed() { return *HexDecode(kSomeSeed); }

TEST(Import, RawSeedsInEveryAcceptedForm) {
  std::string upper(kSomeSeed);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const std::string& file : {Seed(), std::string(kSomeSeed), std::string(kSomeSeed) + "\n",
                                  std::string(kSomeSeed) + "\r\n", upper}) {
    EXPECT_EQ(HexOf(SeedFromFile(Octets(file), KeyFormat::kRawSeed, kMachine)), kSomeSeed);
    EXPECT_EQ(HexOf(SeedFromFile(Octets(file), KeyFormat::kGuess, "")), kSomeSeed);
  }
  // Even a seed that begins like the other format.
  const std::string odd = "AKWv" + std::string(28, '\x01');
  EXPECT_EQ(HexOf(SeedFromFile(Octets(odd), KeyFormat::kGuess, "")), HexEncode(odd));
}

TEST(Import, OtherFilesAreNamedForWhatTheyAre) {
  const std::string pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END";
  const std::string hex(kSomeSeed);
  for (const std::string& file :
       {std::string(), Seed() + "x", Seed().substr(1), std::string(64, 'g'), hex.substr(1),
        hex + "\n\n", hex + "x", pem, std::string(4096, 'a')}) {
    const auto seed = SeedFromFile(Octets(file), KeyFormat::kGuess, kMachine);
    EXPECT_EQ(seed.status().code(), absl::StatusCode::kInvalidArgument) << file.size();
  }
  EXPECT_THAT(HexOf(SeedFromRaw(Octets(pem))), HasSubstr("PEM or OpenSSH"));
}

TEST(Import, KeystoreEncOfAnIndependentImplementation) {
  const std::string file = KeystoreEncByOpenSsl(Seed(), kMachine);
  ASSERT_EQ(file.size(), 65u);
  EXPECT_EQ(HexOf(SeedFromFile(Octets(file), KeyFormat::kGuess, kMachine)), kSomeSeed);
  EXPECT_EQ(HexOf(SeedFromFile(Octets(file), KeyFormat::kKeystoreEnc, kMachine)), kSomeSeed);
}

TEST(Import, KeystoreEncTellsAForeignMachineFromADamagedForm) {
  const std::string good = KeystoreEncByOpenSsl(Seed(), kMachine);
  const auto status = [](const std::string& file, const std::string& machine = kMachine) {
    return SeedFromKeystoreEnc(Octets(file), machine).status();
  };
  for (const char* machine :
       {"0123456789abcdef0123456789abcdef:1001", "1123456789abcdef0123456789abcdef:1000"}) {
    EXPECT_EQ(status(good, machine).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status(good, machine).message()), HasSubstr("another machine"));
  }
  EXPECT_THAT(std::string(status(good, "").message()), HasSubstr("/etc/machine-id"));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_EQ(status(bad).code(),
              at < 5 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kFailedPrecondition)
        << at;
    EXPECT_EQ(status(good.substr(0, at)).code(), absl::StatusCode::kInvalidArgument) << at;
  }
  EXPECT_EQ(status(good + "x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(HexOf(SeedFromFile(Octets(good), KeyFormat::kRawSeed, kMachine)),
              HasSubstr("keystore.enc"));
}

TEST(SecretFile, TakesOneOrdinaryFileOfItsOwnerOnly) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/import.key";
  EXPECT_EQ(ReadSecretFile(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(path, "abc", 0600).ok());
  ASSERT_TRUE(ReadSecretFile(path).ok());
  EXPECT_EQ(ReadSecretFile(path)->size, 3u);

  ASSERT_EQ(::symlink(path.c_str(), (dir.path() + "/link").c_str()), 0);
  EXPECT_FALSE(ReadSecretFile(dir.path() + "/link").ok());
  ASSERT_EQ(::link(path.c_str(), (dir.path() + "/second").c_str()), 0);
  EXPECT_FALSE(ReadSecretFile(path).ok());
  ASSERT_EQ(::unlink((dir.path() + "/second").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir.path() + "/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(ReadSecretFile(dir.path() + "/fifo").ok());
  EXPECT_FALSE(ReadSecretFile(dir.path()).ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string(4096, 'x'), 0600).ok());
  EXPECT_TRUE(ReadSecretFile(path).ok());
  ASSERT_TRUE(WriteFileAtomically(path, std::string(4097, 'x'), 0600).ok());
  EXPECT_FALSE(ReadSecretFile(path).ok());
  if (::geteuid() == 0) {
    ASSERT_TRUE(WriteFileAtomically(path, "abc", 0600).ok());
    ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
    EXPECT_FALSE(ReadSecretFile(path).ok());
  }
}

TEST(SecretFile, OverwritingReachesTheOctetsAndSparesOtherNames) {
  const ScratchDir dir;
  const std::string path = dir.path() + "/f", other = dir.path() + "/other";
  ASSERT_TRUE(WriteFileAtomically(path, "secret", 0600).ok());
  // A descriptor of before sees what became of the octets.
  const UniqueFd watch(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(OverwriteAndRemove(path).ok());
  EXPECT_FALSE(SomethingAt(path));
  char left[6] = {};
  ASSERT_EQ(::pread(watch.get(), left, sizeof left, 0), 6);
  EXPECT_EQ(std::string(left, 6), std::string(6, '\0'));

  ASSERT_TRUE(WriteFileAtomically(path, "secret", 0600).ok());
  ASSERT_EQ(::link(path.c_str(), other.c_str()), 0);
  ASSERT_TRUE(OverwriteAndRemove(path).ok());
  EXPECT_EQ(*ReadFile(other, 100), "secret");
  ASSERT_EQ(::symlink(other.c_str(), path.c_str()), 0);
  ASSERT_TRUE(OverwriteAndRemove(path).ok());
  EXPECT_EQ(*ReadFile(other, 100), "secret");
  EXPECT_TRUE(OverwriteAndRemove(path).ok());
}

TEST(SecretFile, APassphrasePipeThatNeverEndsIsNotWaitedForForEver) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ASSERT_EQ(::write(writer.get(), "half", 4), 4);
  EXPECT_EQ(ReadSecretPipe(reader.get(), 20).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(::write(writer.get(), "whole", 5), 5);
  writer.Reset();
  const auto content = ReadSecretPipe(reader.get(), 20'000);
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(content->size, 5u);
}

}  // namespace
}  // namespace auspex::keyd
