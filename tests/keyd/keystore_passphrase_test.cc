// SPDX-License-Identifier: AGPL-3.0-only
// A passphrase that is handed over in a pipe: it opens the key, lies nowhere at rest, and whoever
// does not have it gets a refusal with the way out.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"

namespace auspex::keyd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// keyd on `home`, with `phrase` in a pipe.
std::unique_ptr<KeydProcess> WithPhrase(const std::string& home, const std::string& phrase,
                                        std::string* name = nullptr) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  // Inherited, by this child alone.
  ::fcntl(reader.get(), F_SETFD, 0);
  EXPECT_EQ(::write(writer.get(), phrase.data(), phrase.size()),
            static_cast<ssize_t>(phrase.size()));
  writer.Reset();
  if (name != nullptr) {
    *name = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(reader.get()));
  }
  return std::make_unique<KeydProcess>(
      home, std::vector<std::string>{"AUSPEX_KEYD_PASSPHRASE_FD=" + std::to_string(reader.get())});
}

TEST(PassphrasePipe, OpensTheKeyAndIsNowhereAtRest) {
  const ScratchDir home;
  const std::string phrase = "correct horse battery";
  std::string public_key;
  {
    std::string pipe;
    const auto keyd = WithPhrase(home.path(), phrase + "\n", &pipe);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    public_key = keyd->CreateKey().public_key_hex();
    EXPECT_EQ(keyd->Status().seal(), "passphrase");
    // The pipe is closed: nobody reads it a second time.
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(keyd->pid()) + "/fd")) {
      std::error_code gone;
      EXPECT_THAT(std::filesystem::read_symlink(entry.path(), gone).string(), Not(HasSubstr(pipe)));
    }
    keyd->Stop(SIGTERM);
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home.path())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_THAT(*ReadFile(entry.path().string(), 1 << 24), Not(HasSubstr(phrase)));
  }
  // A line end more or less does not count.
  const auto again = WithPhrase(home.path(), phrase);
  ASSERT_TRUE(again->ready()) << again->log();
  EXPECT_EQ(again->Status().identity().public_key_hex(), public_key);
  // From one seal to another and back, and the phrase is still the one of the start.
  v1::SealKeyRequest request;
  v1::SealKeyResponse response;
  for (const auto& [seal, was] : {std::pair{v1::SEAL_LOCAL_SECRET, "sealed-file under passphrase"},
                                  {v1::SEAL_PASSPHRASE, "sealed-file under local-secret"}}) {
    request.set_seal(seal);
    const grpc::Status status = again->owner()->SealKey(Deadline().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.was(), was);
  }
  EXPECT_EQ(again->Journal().back().intent(), "seal_key");
}

TEST(PassphrasePipe, WithoutTheRightOneTheStartIsRefused) {
  const ScratchDir home;
  {
    const auto keyd = WithPhrase(home.path(), "correct horse battery");
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    keyd->CreateKey();
  }
  for (const char* phrase : {"correct horse batterz", "", "short"}) {
    const auto keyd = WithPhrase(home.path(), phrase);
    EXPECT_FALSE(keyd->ready()) << phrase;
    EXPECT_EQ(keyd->WaitForExit(), 2) << phrase;
  }
  KeydProcess without(home.path());
  EXPECT_FALSE(without.ready());
  EXPECT_EQ(without.WaitForExit(), 2);
  EXPECT_THAT(without.log(), HasSubstr("--ask-passphrase"));
  KeydProcess odd(home.path(), {"AUSPEX_KEYD_PASSPHRASE_FD=stdin"});
  EXPECT_EQ(odd.WaitForExit(), 2);
  EXPECT_THAT(odd.log(), HasSubstr("AUSPEX_KEYD_PASSPHRASE_FD"));
}

}  // namespace
}  // namespace auspex::keyd
