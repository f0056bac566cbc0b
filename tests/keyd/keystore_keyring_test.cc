// SPDX-License-Identifier: AGPL-3.0-only
// The real auspex-keyd with its real helper and a real gnome-keyring: the key is made there, found
// again, used, moved and removed; a keyring that is gone or hangs ends the start in bounded time
// with a remedy; and none of the desktop's libraries is ever in keyd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/encoding.h"
#include "common/base/sanitized.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "tests/keyd/desktop_session.h"
#include "tests/keyd/keyd_process.h"
#include "tests/keyd/rig.h"
#include "tests/support/skip.h"

namespace auspex::keyd {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using Keyring = DesktopSession::Keyring;

std::string ReadText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Processes whose parent is `parent`.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = ReadText(entry.path().string() + "/stat");
    const size_t after = stat.rfind(") ");
    int their_parent = 0;
    char state = 0;
    if (after == std::string::npos) continue;
    std::istringstream(stat.substr(after + 2)) >> state >> their_parent;
    if (their_parent == parent) children.push_back(std::stoi(name));
  }
  return children;
}

class KeyringTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AUSPEX_SKIP_UNLESS(DesktopSession::Available(), "dbus-daemon and gnome-keyring-daemon");
    Configure("secret_service");
  }
  void Configure(const std::string& backend) {
    std::ofstream(home_.path() + "/worker.toml")
        << "[identity]\nkeystore_backend = \"" << backend << "\"\n";
  }
  std::unique_ptr<KeydProcess> StartKeyd(const DesktopSession& session) const {
    return std::make_unique<KeydProcess>(home_.path(), session.environment());
  }
  std::string State(const std::string& name) const { return home_.path() + "/state/keyd/" + name; }

  static bool Signs(const KeydProcess& keyd) {
    v1::SignRequestRequest request;
    request.mutable_heartbeat()->set_body_sha256(Sha256("{}"));
    v1::SignedRequest out;
    return keyd.request()->SignRequest(Deadline().get(), request, &out).ok();
  }

  ScratchDir desktop_, home_;
};

TEST_F(KeyringTest, TheKeyIsMadeFoundUsedMovedAndRemoved) {
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  std::string public_key;
  {
    const auto keyd = StartKeyd(session);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    public_key = keyd->CreateKey().public_key_hex();
    keyd->Enrol();
    EXPECT_EQ(keyd->Status().keystore(), "secret-service");
    EXPECT_EQ(keyd->Status().seal(), "");
    EXPECT_EQ(keyd->Status().advice(), "");
    EXPECT_FALSE(std::filesystem::exists(State("key.sealed")));
    EXPECT_TRUE(Signs(*keyd));
    // What lies in the keyring is the seed, under the existing worker's names.
    const DesktopSession::Ran item = session.Helper("load");
    ASSERT_EQ(item.code, 0);
    EXPECT_EQ(KeyOf(HexEncode(item.out)).public_key_hex(), public_key);
    EXPECT_EQ(keyd->Stop(SIGTERM), 0);
  }
  {
    const auto keyd = StartKeyd(session);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    EXPECT_EQ(keyd->Status().identity().public_key_hex(), public_key);
    EXPECT_TRUE(Signs(*keyd));

    v1::SealKeyRequest seal;
    v1::SealKeyResponse sealed;
    const grpc::Status again = keyd->owner()->SealKey(Deadline().get(), seal, &sealed);
    ASSERT_TRUE(again.ok()) << again.error_message();
    EXPECT_EQ(sealed.keystore(), "secret-service");
    EXPECT_EQ(sealed.was(), "secret-service");

    v1::DestroyKeyResponse destroyed;
    const grpc::Status gone = keyd->owner()->DestroyKey(Deadline().get(), {}, &destroyed);
    ASSERT_TRUE(gone.ok()) << gone.error_message();
    EXPECT_TRUE(destroyed.existed());
    EXPECT_THAT(destroyed.removed(), Contains(HasSubstr("Secret Service item")));
    EXPECT_THAT(destroyed.removed(), Contains(State("keystore")));
    EXPECT_FALSE(Signs(*keyd));
  }
  EXPECT_EQ(session.Helper("probe").out, "0 0\n");
}

TEST_F(KeyringTest, NoLibraryOfTheDesktopIsInKeydAndTheGateEndsWithIt) {
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  keyd->CreateKey();
  const std::string maps = ReadText("/proc/" + std::to_string(keyd->pid()) + "/maps");
  EXPECT_THAT(maps, HasSubstr("libsodium"));
  for (const char* library : {"libglib", "libgio", "libgobject", "libdbus", "libsecret"}) {
    EXPECT_THAT(maps, Not(HasSubstr(library)));
  }
  const std::vector<pid_t> gate = ChildrenOf(keyd->pid());
  ASSERT_EQ(gate.size(), 1u) << "the gate alone: the helper has ended";
  const std::string status = ReadText("/proc/" + std::to_string(gate[0]) + "/status");
  EXPECT_THAT(status, HasSubstr("Name:\tkeyd-gate"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  // ThreadSanitizer has one of its own.
  if (!kSanitized) {
    EXPECT_THAT(status, HasSubstr("Threads:\t1\n"));
  }
  // keyd's lock and sockets are not its business.
  size_t descriptors = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(gate[0]) + "/fd")) {
    ++descriptors;
  }
  EXPECT_EQ(descriptors, 4u);
  keyd->Stop(SIGKILL);
  for (int looks = 0; looks < 1000 && ::kill(gate[0], 0) == 0; ++looks) {
    if (ReadText("/proc/" + std::to_string(gate[0]) + "/stat").find(") Z ") != std::string::npos) {
      break;
    }
    ::poll(nullptr, 0, 10);
  }
  const std::string left = ReadText("/proc/" + std::to_string(gate[0]) + "/stat");
  EXPECT_TRUE(left.empty() || left.find(") Z ") != std::string::npos) << left;
}

TEST_F(KeyringTest, TheExistingWorkersItemIsTakenOverOnTheOwnersWordOnly) {
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  ASSERT_EQ(session.Helper("store", *HexDecode(kSomeSeed)).code, 0);
  EXPECT_EQ(session.Helper("store", *HexDecode(kSomeSeed)).code, 15) << "a second one is refused";
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  EXPECT_FALSE(keyd->Status().identity().has_key());
  EXPECT_THAT(keyd->Status().advice(), HasSubstr("auspex key import --from-secret-service"));
  EXPECT_THAT(keyd->log(), HasSubstr("keystore_advice"));
  v1::ImportKeyRequest request;
  request.set_keystore(v1::KEYSTORE_SECRET_SERVICE);
  v1::KeyIdentity identity;
  const grpc::Status imported = keyd->owner()->ImportKey(Deadline().get(), request, &identity);
  ASSERT_TRUE(imported.ok()) << imported.error_message();
  EXPECT_EQ(identity.public_key_hex(), KeyOf(kSomeSeed).public_key_hex());
  EXPECT_EQ(keyd->Journal().front().intent(), "import_key");
  keyd->Stop(SIGTERM);
  const auto again = StartKeyd(session);
  EXPECT_EQ(again->Status().identity().public_key_hex(), KeyOf(kSomeSeed).public_key_hex());
}

TEST_F(KeyringTest, TheConfigurationsWordHoldsForEveryAct) {
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  v1::CreateKeyRequest in_file;
  in_file.set_keystore(v1::KEYSTORE_SEALED_FILE);
  v1::KeyIdentity identity;
  EXPECT_EQ(keyd->owner()->CreateKey(Deadline().get(), in_file, &identity).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  const std::string public_key = keyd->CreateKey().public_key_hex();
  v1::SealKeyRequest to_file;
  to_file.set_keystore(v1::KEYSTORE_SEALED_FILE);
  v1::SealKeyResponse moved;
  EXPECT_EQ(keyd->owner()->SealKey(Deadline().get(), to_file, &moved).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(keyd->Status().identity().public_key_hex(), public_key);
}

TEST_F(KeyringTest, AKeyringThatIsGoneRefusesTheStartWithARemedy) {
  {
    const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
    const auto keyd = StartKeyd(session);
    ASSERT_TRUE(keyd->ready()) << keyd->log();
    keyd->CreateKey();
    EXPECT_EQ(keyd->Stop(SIGTERM), 0);
  }
  for (const char* backend : {"secret_service", "encrypted_file"}) {
    Configure(backend);
    const DesktopSession session(desktop_.path(), Keyring::kNone);
    const auto keyd = StartKeyd(session);
    EXPECT_FALSE(keyd->ready());
    EXPECT_EQ(keyd->WaitForExit(), 2);
    EXPECT_THAT(keyd->log(), HasSubstr("is in the Secret Service"));
    EXPECT_FALSE(std::filesystem::exists(State("key.sealed")));
  }
  Configure("secret_service");
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  const auto keyd = StartKeyd(session);
  EXPECT_TRUE(keyd->ready()) << keyd->log();
}

TEST_F(KeyringTest, AKeyringThatHangsIsNotWaitedForForEver) {
  const DesktopSession session(desktop_.path(), Keyring::kHangs);
  const auto keyd = StartKeyd(session);
  EXPECT_FALSE(keyd->ready());
  EXPECT_EQ(keyd->WaitForExit(), 2);
  EXPECT_THAT(keyd->log(), HasSubstr("no answer within 5 s"));
  EXPECT_THAT(keyd->log(), HasSubstr("encrypted_file"));
}

// Without the owner's word a worker with a folder of its own leaves the desktop alone.
TEST_F(KeyringTest, AHomeFolderDoesNotUseTheKeyringUnasked) {
  Configure("");
  const DesktopSession session(desktop_.path(), Keyring::kUnlocked);
  const auto keyd = StartKeyd(session);
  ASSERT_TRUE(keyd->ready()) << keyd->log();
  EXPECT_EQ(ChildrenOf(keyd->pid()).size(), 0u);
  keyd->CreateKey();
  EXPECT_EQ(keyd->Status().keystore(), "sealed-file");
  EXPECT_EQ(session.Helper("probe").out, "0 0\n");
}

}  // namespace
}  // namespace auspex::keyd
