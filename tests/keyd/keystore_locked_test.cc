// SPDX-License-Identifier: AGPL-3.0-only
// The real auspex-keyd beside a real gnome-keyring that does not give the key away: it is locked and wants to ask somebody, or
// holds more than one item that could be meant. Every wait has an end, and every refusal a way out that works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/keyd/desktop_session.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/pace.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Keyring = DesktopSession::Keyring;

class LockedKeyringTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(DesktopSession::Available(), "dbus-daemon and gnome-keyring-daemon");
    std::ofstream(home_.path() + "/worker.toml")
        << "[identity]\nkeystore_backend = \"secret_service\"\n";
  }
  std::unique_ptr<KeydProcess> StartKeyd(const DesktopSession& session) const {
    return std::make_unique<KeydProcess>(home_.path(), session.environment());
  }
  // Leaves a keyring that holds the key, and keyd's folder that says so.
  void MakeKey() {
    const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
    const auto keyd = StartKeyd(session);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    public_key_ = keyd->CreateKey().public_key_hex();
    EXPECT_EQ(keyd->Stop(SIGTERM), 0);
  }
  // The start is refused, within `most` seconds; what keyd said.
  std::string Refusal(const DesktopSession& session, double most) const {
    const auto begin = std::chrono::steady_clock::now();
    const auto keyd = StartKeyd(session);
    EXPECT_FALSE(keyd->ready());
    EXPECT_EQ(keyd->WaitForExit(), 2);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took.count(), most * TestPace());
    return keyd->log();
  }
  // As soon as the owner has done what the refusal said, the same key is there.
  void ExpectTheKeyIsBack() const {
    const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
    const auto keyd = StartKeyd(session);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    EXPECT_EQ(keyd->Status().identity().public_key_hex(), public_key_);
    EXPECT_EQ(keyd->Stop(SIGTERM), 0);
  }
  // A second keyring with the same item, as one that was restored beside the first.
  std::string SecondKeyring() const {
    const std::string folder = desktop_.path() + "/home/.local/share/keyrings/";
    std::filesystem::copy_file(folder + "login.keyring", folder + "second.keyring");
    return folder + "second.keyring";
  }

  ScratchDir desktop_, home_;
  std::string public_key_;
};

TEST_F(LockedKeyringTest, APromptThatNobodyAnswersEndsTheStartInTime) {
  MakeKey();
  {
    const DesktopSession session(desktop_.path(), Keyring::kAsks);
    EXPECT_EQ(session.Helper("probe").out, "1 1\n") << "looking asks nobody";
    // 5 s for the keyring, 2 s for the gate, and the start itself.
    EXPECT_THAT(Refusal(session, 15),
                AllOf(HasSubstr("no answer within 5 s"), HasSubstr("unlock the keyring"),
                      HasSubstr("start auspex again")));
  }
  ExpectTheKeyIsBack();
}

TEST_F(LockedKeyringTest, WithoutAnybodyToAskTheRefusalComesAtOnce) {
  MakeKey();
  {
    const DesktopSession session(desktop_.path(), Keyring::kLocked);
    EXPECT_THAT(Refusal(session, 5),
                AllOf(HasSubstr("locked and was not unlocked"), HasSubstr("unlock the keyring")));
  }
  ExpectTheKeyIsBack();
}

TEST_F(LockedKeyringTest, NoKeyIsMadeInALockedKeyringNorAnywhereElse) {
  // The keyring is made, and nothing put in.
  { const DesktopSession session(desktop_.path(), Keyring::kUnlocked); }
  const DesktopSession session(desktop_.path(), Keyring::kLocked);
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  v1::KeyIdentity identity;
  const grpc::Status refused = keyd->owner()->CreateKey(Deadline().get(), {}, &identity);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("unlock the keyring"));
  EXPECT_FALSE(keyd->Status().identity().has_key());
  EXPECT_EQ(session.Helper("probe").out, "0 0\n");
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/state/keyd/key.sealed"));
}

TEST_F(LockedKeyringTest, OfSeveralItemsNoneIsTakenUntilOneIsLeft) {
  MakeKey();
  const std::string second = SecondKeyring();
  {
    const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
    EXPECT_EQ(session.Helper("probe").out, "2 1\n");
    for (const char* command : {"load", "store", "delete"}) {
      EXPECT_EQ(session.Helper(command, std::string(32, 's')).code, 12) << command;
    }
    EXPECT_EQ(session.Helper("probe").out, "2 1\n") << "none was touched";
    EXPECT_THAT(Refusal(session, 5), AllOf(HasSubstr("several items are marked"),
                                           HasSubstr("remove those that are not this worker's")));
  }
  std::filesystem::remove(second);
  ExpectTheKeyIsBack();
}

// Items that the existing worker left, before this one has a key: nothing is guessed either.
TEST_F(LockedKeyringTest, OfSeveralItemsOfTheExistingWorkerNoneIsTakenOver) {
  {
    const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
    ASSERT_EQ(session.Helper("store", std::string(32, 's')).code, 0);
  }
  SecondKeyring();
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  v1::ImportKeyRequest request;
  request.set_keystore(v1::KEYSTORE_SECRET_SERVICE);
  v1::KeyIdentity identity;
  const grpc::Status refused = keyd->owner()->ImportKey(Deadline().get(), request, &identity);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("several items are marked"));
  EXPECT_FALSE(keyd->Status().identity().has_key());
}

}  // namespace
}  // namespace auspex::keyd
