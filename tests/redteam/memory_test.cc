// SPDX-License-Identifier: AGPL-3.0-only
// The private key is in keyd's memory and its sealed file, nowhere else (promise P1). The test opens the sealed file to learn
// the seed and then looks for it, for its parts and for what Ed25519 makes of it, everywhere else, as root where it is root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/base/encoding.h"
#include "common/base/sanitized.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/redteam/attack.h"
#include "tests/support/skip.h"

namespace auspex::redteam {
namespace {

constexpr char kNoSanitizer[] =
    "a build without a sanitizer, whose shadow memory is terabytes large";

using keyd::Deadline;
using keyd::KeydProcess;
namespace v1 = keyd::v1;

class KeySecrecy : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(keyd_.ready()) << keyd_.log();
    keyd_.CreateKey();
    keyd_.Enrol();
    seed_ = SeedOf(home_.path());
    ASSERT_EQ(seed_.size(), 32u);
  }
  // Uses the key, so that whatever signing leaves behind is there to be found.
  static void Sign(const KeydProcess& target) {
    const auto requests = target.request();
    const auto results = target.result();
    for (int i = 0; i < 50; ++i) {
      v1::SignRequestRequest request;
      request.mutable_heartbeat()->set_body_sha256(Sha256(std::to_string(i)));
      v1::SignedRequest out;
      const grpc::Status status = requests->SignRequest(Deadline().get(), request, &out);
      ASSERT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED)
          << status.error_message();
      v1::SignRawTextRequest raw;
      raw.set_unit_id("u-" + std::to_string(i));
      raw.set_assignment_id("a-" + std::to_string(i));
      raw.set_raw_sha256(Sha256("raw"));
      v1::SignRawTextResponse signature;
      ASSERT_TRUE(results->SignRawText(Deadline().get(), raw, &signature).ok());
    }
  }
  // Nothing of the key in any memory of `target` that can be read; and the look does find what is there.
  void ExpectNothingIn(const KeydProcess& target, const std::string& when) {
    const v1::KeyStatus status = target.Status();
    const std::string public_key = *HexDecode(status.identity().public_key_hex());
    std::vector<Needle> needles = NeedlesOf(seed_);
    needles.push_back({"public key", public_key});
    const auto scan = ScanMemory(target.pid(), needles);
    AUSPEX_SKIP_UNLESS(scan.has_value(),
                       "the right to read /proc/PID/mem of a process that is not dumpable");
    const bool secret_memory =
        std::any_of(status.hardening().begin(), status.hardening().end(), [](const auto& layer) {
          return layer.detail().find("memfd_secret:") != std::string::npos;
        });
    AUSPEX_SKIP_UNLESS(secret_memory, "memfd_secret");
    bool found_public = false;
    for (const std::string& found : scan->found) {
      if (found.rfind("public key", 0) == 0) {
        found_public = true;
      } else {
        ADD_FAILURE() << when << ": " << found;
      }
    }
    EXPECT_TRUE(found_public) << when;
    EXPECT_GT(scan->octets, 1u << 20) << when;
    // The key's own page.
    EXPECT_GE(scan->unreadable, 1u) << when;
  }

  keyd::ScratchDir home_;
  KeydProcess keyd_{home_.path()};
  std::string seed_;
};

// Even who may read all of keyd's memory through the kernel finds no copy of the key there: not after it was made, not after
// signing, not after it was read from its file.
TEST_F(KeySecrecy, NothingOfTheKeyIsInMemoryThatCanBeRead) {
  AUSPEX_SKIP_UNLESS(!kSanitized, kNoSanitizer);
  ExpectNothingIn(keyd_, "made");
  Sign(keyd_);
  ExpectNothingIn(keyd_, "used");
  ASSERT_EQ(keyd_.Stop(SIGTERM), 0);
  const KeydProcess again(home_.path());
  ASSERT_TRUE(again.ready()) << again.log();
  ExpectNothingIn(again, "loaded");
  Sign(again);
  ExpectNothingIn(again, "loaded and used");
}

// What seals the file is as good as the key to who has the file.
TEST_F(KeySecrecy, TheLocalSecretIsInNoMemoryThatCanBeRead) {
  AUSPEX_SKIP_UNLESS(!kSanitized, kNoSanitizer);
  const auto secret = ReadFile(home_.path() + "/state/keyd/seal.key", 64);
  ASSERT_TRUE(secret.ok()) << secret.status();
  std::vector<Needle> needles;
  for (size_t at = 0; at + 8 <= secret->size(); at += 8) {
    needles.push_back({"local secret+" + std::to_string(at), secret->substr(at, 8)});
  }
  ASSERT_GE(needles.size(), 4u);
  const auto made = ScanMemory(keyd_.pid(), needles);
  AUSPEX_SKIP_UNLESS(made.has_value(), "the right to read /proc/PID/mem");
  EXPECT_EQ(made->found, std::vector<std::string>()) << "made";
  ASSERT_EQ(keyd_.Stop(SIGTERM), 0);
  const KeydProcess again(home_.path());
  ASSERT_TRUE(again.ready());
  EXPECT_EQ(ScanMemory(again.pid(), needles)->found, std::vector<std::string>()) << "loaded";
}

TEST_F(KeySecrecy, TheSeedIsInNoFile) {
  Sign(keyd_);
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string content = *ReadFile(entry.path().string(), 1 << 28);
    for (const Needle& needle : NeedlesOf(seed_)) {
      EXPECT_EQ(content.find(needle.octets), std::string::npos) << needle.name << entry.path();
    }
  }
  EXPECT_GE(files, 5);
}

TEST_F(KeySecrecy, StateIsTheOwnersAlone) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(home_.path() + "/state/keyd")) {
    struct stat info;
    ASSERT_EQ(::lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
    files += S_ISREG(info.st_mode);
  }
  EXPECT_GE(files, 4);
}

TEST_F(KeySecrecy, TheLogHasNoSeed) {
  Sign(keyd_);
  const std::string log = keyd_.log();
  EXPECT_FALSE(log.empty());
  EXPECT_EQ(log.find(HexEncode(seed_)), std::string::npos);
  EXPECT_EQ(log.find(Base64Encode(seed_)), std::string::npos);
}

// The descriptor of the key's memory is closed once it is mapped: who could copy descriptors would find none to map.
TEST_F(KeySecrecy, NoDescriptorLeadsToTheKey) {
  Sign(keyd_);
  AUSPEX_SKIP_UNLESS(::geteuid() == 0, "root, to list another process's descriptors");
  int seen = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(keyd_.pid()) + "/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone) continue;
    ++seen;
    for (const char* forbidden : {"secretmem", "key.sealed", "seal.key", "memfd"}) {
      EXPECT_EQ(target.find(forbidden), std::string::npos) << target;
    }
  }
  EXPECT_GT(seen, 5);
}

}  // namespace
}  // namespace auspex::redteam
