// SPDX-License-Identifier: AGPL-3.0-only
// The private key is in keyd's memory and its sealed file, nowhere else (promise P1). The test
// opens the sealed file itself to learn the seed, and then looks for it everywhere else, as root
// where it is root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "keyd/key_store.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

std::string ProcFile(pid_t pid, const std::string& name) {
  std::stringstream text;
  text << std::ifstream("/proc/" + std::to_string(pid) + "/" + name).rdbuf();
  return text.str();
}

class DaemonSecrecy : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(keyd_.ready()) << keyd_.log();
    keyd_.CreateKey();
    keyd_.Enrol();
    // Use the key, so that whatever signing leaves behind is there to be found.
    for (int i = 0; i < 50; ++i) {
      v1::SignRequestRequest request;
      request.mutable_heartbeat()->set_body_sha256(Sha256(std::to_string(i)));
      v1::SignedRequest out;
      ASSERT_TRUE(keyd_.request()->SignRequest(Deadline().get(), request, &out).ok());
    }
    const std::string state = home_.path() + "/state/keyd";
    SealSources sources;
    sources.local_secret_path = state + "/seal.key";
    KeyStore store(state, sources);
    auto key = store.Load();
    ASSERT_TRUE(key.ok()) << key.status();
    ASSERT_TRUE(key->has_value());
    const auto seed = (*key)->Seed(SecretKeyAccess::ForReviewedUse());
    seed_.assign(reinterpret_cast<const char*>(seed.data()), seed.size());
  }
  ScratchDir home_;
  KeydProcess keyd_{home_.path()};
  std::string seed_;
};

TEST_F(DaemonSecrecy, TheSeedIsInNoFile) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.path())) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string content = *ReadFile(entry.path().string(), 1 << 24);
    EXPECT_EQ(content.find(seed_), std::string::npos) << entry.path();
    EXPECT_EQ(content.find(HexEncode(seed_)), std::string::npos) << entry.path();
    EXPECT_EQ(content.find(Base64Encode(seed_)), std::string::npos) << entry.path();
  }
  EXPECT_GE(files, 5);
}

TEST_F(DaemonSecrecy, StateFilesAreTheOwnersAlone) {
  for (const char* name : {"journal.log", "key.sealed", "seal.key", "enrolment.toml"}) {
    struct stat info;
    ASSERT_EQ(::stat((home_.path() + "/state/keyd/" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

// Even who may read all of keyd's memory through the kernel finds no copy of the seed there.
TEST_F(DaemonSecrecy, TheSeedIsInNoMemoryThatCanBeRead) {
  const UniqueFd memory(
      ::open(("/proc/" + std::to_string(keyd_.pid()) + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  AUSPEX_SKIP_UNLESS(memory.valid(),
                     "the right to read /proc/PID/mem of a process that is not dumpable");
  const v1::KeyStatus status = keyd_.Status();
  for (const std::string& layer : status.missing_hardening()) {
    AUSPEX_SKIP_UNLESS(layer != "memfd_secret", "memfd_secret");
  }
  std::istringstream maps(ProcFile(keyd_.pid(), "maps"));
  size_t looked_at = 0, unreadable = 0;
  bool found_public = false;
  const std::string public_key = *HexDecode(status.identity().public_key_hex());
  for (std::string line; std::getline(maps, line);) {
    unsigned long low = 0, high = 0;
    char flags[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &low, &high, flags) != 3 || flags[0] != 'r')
      continue;
    std::string region(high - low, '\0');
    const ssize_t n = ::pread(memory.get(), region.data(), region.size(), static_cast<off_t>(low));
    if (n <= 0) {
      ++unreadable;
      continue;
    }
    region.resize(static_cast<size_t>(n));
    looked_at += region.size();
    EXPECT_EQ(region.find(seed_), std::string::npos) << line;
    found_public = found_public || region.find(public_key) != std::string::npos;
  }
  // The search does find what is there, and the key's own page was among those that cannot be read.
  EXPECT_TRUE(found_public);
  EXPECT_GT(looked_at, 1u << 20);
  EXPECT_GE(unreadable, 1u);
}

TEST_F(DaemonSecrecy, TheProcessCannotBeDumpedTracedOrStarted) {
  // A process that is not dumpable has its /proc files owned by root, whoever runs it; for root the
  // limits say it.
  const std::string limits = ProcFile(keyd_.pid(), "limits");
  const size_t at = limits.find("Max core file size");
  ASSERT_NE(at, std::string::npos);
  std::istringstream words(limits.substr(at + 18));
  std::string soft, hard;
  words >> soft >> hard;
  EXPECT_EQ(soft, "0");
  EXPECT_EQ(hard, "0");
  const std::string status = ProcFile(keyd_.pid(), "status");
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos) << status;
  EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos) << status;
}

TEST_F(DaemonSecrecy, TheStatusNamesWhatIsInForce) {
  const v1::KeyStatus status = keyd_.Status();
  EXPECT_EQ(status.keystore(), "sealed-file");
  EXPECT_EQ(status.seal(), "local-secret");
  EXPECT_EQ(status.journal_path(), home_.path() + "/state/keyd/journal.log");
  for (const std::string& layer : status.missing_hardening()) {
    AUSPEX_SKIP_UNLESS(layer.empty(), layer);
  }
}

// The log has no secrets either, whatever was done.
TEST_F(DaemonSecrecy, TheLogHasNoSeed) {
  const std::string log = keyd_.log();
  EXPECT_FALSE(log.empty());
  EXPECT_EQ(log.find(HexEncode(seed_)), std::string::npos);
  EXPECT_EQ(log.find(Base64Encode(seed_)), std::string::npos);
}

}  // namespace
}  // namespace auspex::keyd
