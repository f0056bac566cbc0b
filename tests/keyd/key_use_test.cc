// SPDX-License-Identifier: AGPL-3.0-only
// Who may touch the private key is a list (promise P1): the token's one maker is named in these
// files and in no other.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "common/crypto/sha256.h"
#include "keyd/durable_signer.h"
#include "keyd/self_test.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

TEST(KeyUse, OnlyTheSignerAndTheSealReadTheKey) {
  const char* source = std::getenv("AUSPEX_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  std::set<std::string> files;
  for (const char* folder : {"common", "keyd", "stated", "netd", "runnerd", "coordd", "cli"}) {
    const auto root = std::filesystem::path(source) / folder;
    if (!std::filesystem::exists(root)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h") continue;
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      if (text.str().find("ForReviewedUse()") == std::string::npos) continue;
      files.insert(std::filesystem::relative(entry.path(), source).string());
    }
  }
  EXPECT_EQ(files,
            (std::set<std::string>{"keyd/durable_signer.cc", "keyd/seal.cc",
                                   "keyd/secret_key_access.h", "keyd/secret_service_client.cc"}));
}

TEST(KeyUse, TheSignerRefusesAProofOfSomethingElse) {
  Rig rig;
  const SecretKey key = KeyOf(kSomeSeed);
  JournalEntry entry;
  entry.outcome = Outcome::kSigned;
  entry.digest = ToDigest(Sha256("message"));
  const auto proof = rig.journal->Append(entry);
  ASSERT_TRUE(proof.ok());
  const auto signature = UnreleasedSignature::Make(key, "message");
  const auto other = UnreleasedSignature::Make(key, "massage");
  ASSERT_TRUE(signature.ok() && other.ok());
  EXPECT_TRUE(signature->Release(*proof).ok());
  EXPECT_EQ(other->Release(*proof).status().code(), absl::StatusCode::kInternal);
  entry.outcome = Outcome::kRefused;
  const auto refusal = rig.journal->Append(entry);
  ASSERT_TRUE(refusal.ok());
  EXPECT_EQ(signature->Release(*refusal).status().code(), absl::StatusCode::kInternal);
}

TEST(KeyUse, TheSelfTestPasses) { EXPECT_TRUE(SelfTest().ok()) << SelfTest(); }

}  // namespace
}  // namespace auspex::keyd
