// SPDX-License-Identifier: AGPL-3.0-only
// Where the key rests: which place is chosen, how it moves from each form to each other one, what is
// left when that is interrupted at any step, and that a removed key is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "common/base/cat.h"
#include "common/files/files.h"
#include "keyd/key_vault.h"
#include "tests/keyd/keystore_fakes.h"

namespace auspex::keyd {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kOtherSeed(64, '7');

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// The words of `vault` for how it keeps the key.
std::string Words(const KeyVault& vault) { return vault.status().Words(); }

TEST(KeystoreOrder, AutomaticPrefersAReachableKeyringForANewKey) {
  const VaultRig rig;
  const auto vault = rig.Start();
  ASSERT_FALSE(vault->Load()->has_value());
  EXPECT_EQ(Words(*vault), "secret-service");
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  EXPECT_THAT(rig.keyring->seeds, ::testing::ElementsAre(std::string(kSomeSeed)));
  EXPECT_FALSE(std::filesystem::exists(rig.state() + "/key.sealed"));
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kSomeSeed).public_key_hex());
}

TEST(KeystoreOrder, AutomaticTakesTheFileWithoutAKeyring) {
  VaultRig rig;
  rig.keyring->unreachable = true;
  const auto vault = rig.Start();
  ASSERT_FALSE(vault->Load()->has_value());
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  EXPECT_EQ(Words(*vault), "sealed-file under credential");
  // Nor does a keyring that comes up later hide the file.
  rig.keyring->unreachable = false;
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kSomeSeed).public_key_hex());
}

TEST(KeystoreOrder, TheOwnersWordDecides) {
  VaultRig rig;
  rig.options.backend = "encrypted_file";
  const auto file = rig.Start();
  ASSERT_TRUE(file->Load().ok());
  EXPECT_EQ(rig.keyring->asked, 0);
  EXPECT_EQ(file->Save(KeyOf(kSomeSeed), {Keystore::kSecretService, std::nullopt}).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(file->Save(KeyOf(kSomeSeed), {}).ok());

  VaultRig other;
  other.options.backend = "secret_service";
  const auto service = other.Start();
  ASSERT_TRUE(service->Load().ok());
  EXPECT_EQ(service->Save(KeyOf(kSomeSeed), {Keystore::kSealedFile, std::nullopt}).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(service->Save(KeyOf(kSomeSeed), {}).ok());
  EXPECT_EQ(Words(*service), "secret-service");
}

TEST(KeystoreOrder, ADemandedKeyringThatCannotBeReachedRefusesTheStart) {
  VaultRig rig;
  rig.options.backend = "secret_service";
  rig.keyring->unreachable = true;
  absl::Status status = rig.Start()->Load().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("unlock the keyring"));
  rig.options.secret_service = nullptr;
  rig.options.why_no_service = "there is no session bus";
  status = rig.Start()->Load().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("there is no session bus"));
  EXPECT_THAT(Message(status), HasSubstr("encrypted_file"));
}

TEST(KeystoreLoss, AKnownKeyThatCannotBeHadIsNeverReplaced) {
  VaultRig rig;
  {
    const auto vault = rig.Start();
    ASSERT_TRUE(vault->Load().ok());
    ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  }
  const auto refusal = [&rig] {
    const auto vault = rig.Start();
    const absl::Status status = vault->Load().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    // What keyd logs of it, the remedy at its end included, is cut at 512 octets.
    EXPECT_LE(status.message().size(), 500u) << status;
    return Message(status);
  };
  rig.keyring->unreachable = true;
  EXPECT_THAT(refusal(), HasSubstr("unlock the keyring"));
  rig.keyring->unreachable = false;

  rig.options.secret_service = nullptr;
  rig.options.why_no_service = "there is no session bus (DBUS_SESSION_BUS_ADDRESS is not set)";
  EXPECT_THAT(refusal(), HasSubstr("desktop session"));
  rig.options.secret_service = rig.keyring.get();

  rig.options.backend = "encrypted_file";
  EXPECT_THAT(refusal(), HasSubstr("auspex key seal --keystore sealed-file"));
  rig.options.backend = "";

  rig.keyring->seeds = {kOtherSeed};
  EXPECT_THAT(refusal(), HasSubstr("another key"));
  rig.keyring->seeds = {};
  EXPECT_THAT(refusal(), HasSubstr("Restore the keyring"));
  rig.keyring->seeds = {std::string(kSomeSeed), kOtherSeed};
  EXPECT_THAT(refusal(), HasSubstr("several"));
  rig.keyring->seeds = {std::string(kSomeSeed)};
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kSomeSeed).public_key_hex());

  ASSERT_TRUE(WriteFileAtomically(rig.state() + "/keystore", "elsewhere\n", 0600).ok());
  EXPECT_THAT(refusal(), HasSubstr("is not what keyd writes there"));
}

// Whoever can put an item into the keyring would otherwise choose the key.
TEST(KeystoreTakeover, AnItemThatNobodySpokeOfIsToldOfAndNotUsed) {
  const VaultRig rig;
  rig.keyring->seeds = {kOtherSeed};
  const auto vault = rig.Start();
  EXPECT_FALSE(vault->Load()->has_value());
  EXPECT_THAT(vault->status().advice, HasSubstr("auspex key import --from-secret-service"));

  const absl::StatusOr<SecretKey> waiting = vault->LoadWaiting();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  ASSERT_TRUE(vault->Adopt(*waiting).ok());
  EXPECT_EQ(vault->status().advice, "");
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kOtherSeed).public_key_hex());
}

TEST(KeystoreTakeover, ANewKeyBesideAForeignItemGoesToTheFile) {
  const VaultRig rig;
  rig.keyring->seeds = {kOtherSeed};
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  EXPECT_EQ(vault->Save(KeyOf(kSomeSeed), {Keystore::kSecretService, std::nullopt}).code(),
            absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kSomeSeed).public_key_hex());
  // And the foreign item survives everything that is done with our key.
  ASSERT_TRUE(vault->Move(KeyOf(kSomeSeed), {Keystore::kSealedFile, SealKind::kPassphrase}).ok());
  ASSERT_TRUE(vault->Destroy().ok());
  EXPECT_EQ(rig.keyring->seeds.size(), 1u);
}

TEST(KeystoreTakeover, AnExistingWorkersFileIsNamedWithItsCommand) {
  VaultRig rig;
  rig.options.existing_keystore = "/home/w/.local/share/auspexai-worker/keystore.enc";
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  EXPECT_THAT(vault->status().advice,
              HasSubstr("auspex key import /home/w/.local/share/auspexai-worker/keystore.enc"));
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  EXPECT_EQ(vault->status().advice, "");
}

TEST(KeystoreMove, FromEveryFormToEveryOther) {
  for (const Place& from : AllPlaces()) {
    for (const Place& to : AllPlaces()) {
      SCOPED_TRACE(Cat(NameOf(from), " -> ", NameOf(to)));
      const VaultRig rig;
      const auto vault = rig.Start();
      ASSERT_TRUE(vault->Load().ok());
      const SecretKey key = KeyOf(kSomeSeed);
      ASSERT_TRUE(vault->Save(key, from).ok());
      const absl::Status moved = vault->Move(key, to);
      ASSERT_TRUE(moved.ok()) << moved;
      const bool in_service = to.keystore == Keystore::kSecretService;
      EXPECT_EQ(Words(*vault),
                in_service ? "secret-service" : Cat("sealed-file under ", NameOf(to)));
      EXPECT_EQ(vault->status().advice.empty(), to.seal != SealKind::kMachine);
      // Only the new form is left.
      EXPECT_EQ(rig.keyring->seeds.size(), in_service ? 1u : 0u);
      EXPECT_EQ(std::filesystem::exists(rig.state() + "/key.sealed"), !in_service);
      EXPECT_EQ(std::filesystem::exists(rig.state() + "/keystore"), in_service);
      EXPECT_EQ(std::filesystem::exists(rig.state() + "/seal.key"),
                to.seal == SealKind::kLocalSecret);
      EXPECT_FALSE(std::filesystem::exists(rig.state() + "/key.sealed.new"));
      EXPECT_EQ(rig.PublicKeyAfterRestart(), key.public_key_hex());
      const auto again = rig.Start();
      ASSERT_TRUE(again->Load().ok());
      EXPECT_EQ(Words(*again), Words(*vault));
    }
  }
}

// Runs a move from `from` to `to` that stops before its `stop_at`-th step: with an error, or with
// the end of the process. Whether it got that far.
bool Interrupted(const VaultRig& rig, const Place& to, int stop_at, bool kill) {
  int step = 0;
  const auto before = [&](std::string_view word) -> absl::Status {
    if (++step != stop_at) return absl::OkStatus();
    if (kill) ::_exit(42);
    return absl::InternalError(Cat("stopped before: ", word));
  };
  const auto move = [&] {
    const auto vault = rig.Start(before);
    const auto key = vault->Load();
    return key.ok() && key->has_value() ? vault->Move(**key, to) : absl::DataLossError("no key");
  };
  if (!kill) return absl::IsInternal(move());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(move().ok() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

TEST(KeystoreMove, AnInterruptionAtAnyStepLeavesTheKeyAndCanBeRepeated) {
  const std::string expected = KeyOf(kSomeSeed).public_key_hex();
  int interruptions = 0;
  for (const bool kill : {false, true}) {
    for (const Place& from : AllPlaces()) {
      for (const Place& to : AllPlaces()) {
        // A keyring in memory does not outlive a killed process.
        if (kill && (!from.seal || !to.seal)) continue;
        // The file of a passphrase goes the credential's way; Argon2id takes the time.
        if (from.seal == SealKind::kPassphrase || to.seal == SealKind::kPassphrase) continue;
        for (int stop_at = 1;; ++stop_at) {
          SCOPED_TRACE(Cat(NameOf(from), " -> ", NameOf(to), " step ", stop_at));
          const VaultRig rig;
          {
            const auto vault = rig.Start();
            ASSERT_TRUE(vault->Load().ok());
            ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), from).ok());
          }
          if (!Interrupted(rig, to, stop_at, kill)) break;
          ++interruptions;
          ASSERT_EQ(rig.PublicKeyAfterRestart(), expected);
          const auto again = rig.Start();
          const auto key = again->Load();
          ASSERT_TRUE(key.ok() && key->has_value());
          const absl::Status repeated = again->Move(**key, to);
          ASSERT_TRUE(repeated.ok()) << repeated;
          EXPECT_EQ(rig.keyring->seeds.size(), to.seal ? 0u : 1u);
          EXPECT_EQ(std::filesystem::exists(rig.state() + "/key.sealed"), to.seal.has_value());
          EXPECT_EQ(rig.PublicKeyAfterRestart(), expected);
        }
      }
    }
  }
  EXPECT_GT(interruptions, 60);
}

TEST(KeystoreMove, AnotherKeyInTheTargetIsNeverOverwritten) {
  VaultRig rig;
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {Keystore::kSealedFile, std::nullopt}).ok());
  rig.keyring->seeds = {kOtherSeed};
  EXPECT_EQ(vault->Move(KeyOf(kSomeSeed), {Keystore::kSecretService, std::nullopt}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(rig.keyring->seeds[0], kOtherSeed);
  EXPECT_EQ(rig.PublicKeyAfterRestart(), KeyOf(kSomeSeed).public_key_hex());
}

TEST(KeystoreMove, TheKeyInBothPlacesIsToldAndTidied) {
  const VaultRig rig;
  {
    const auto vault = rig.Start();
    ASSERT_TRUE(vault->Load().ok());
    ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  }
  KeyStore file(rig.state(), rig.options.sources);
  ASSERT_TRUE(file.Save(KeyOf(kSomeSeed)).ok());
  const auto vault = rig.Start();
  const auto key = vault->Load();
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(Words(*vault), "secret-service");
  EXPECT_THAT(vault->status().advice, HasSubstr("the same key is also in"));
  ASSERT_TRUE(vault->Move(**key, {Keystore::kSecretService, std::nullopt}).ok());
  EXPECT_EQ(vault->status().advice, "");
  EXPECT_FALSE(file.exists());
}

TEST(KeystoreSeal, TheMachineSealNeedsTheOwnersPermissionAndIsNeverChosen) {
  VaultRig rig;
  rig.options.sources.allow_machine = false;
  rig.options.sources.credential_path.clear();
  rig.options.sources.passphrase_path.clear();
  EXPECT_EQ(rig.options.sources.Best(), SealKind::kLocalSecret);
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  const absl::Status refused = vault->Save(KeyOf(kSomeSeed), {std::nullopt, SealKind::kMachine});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(refused), HasSubstr("keyd.allow_machine_bound_key"));
  EXPECT_TRUE(std::filesystem::is_empty(rig.state()));
}

TEST(KeystoreDestroy, NamesWhatItRemovedAndLeavesNothing) {
  for (const Place& place : AllPlaces()) {
    SCOPED_TRACE(NameOf(place));
    const VaultRig rig;
    const auto vault = rig.Start();
    ASSERT_TRUE(vault->Load().ok());
    ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), place).ok());
    // What an interrupted write may leave.
    ASSERT_TRUE(WriteFileAtomically(rig.state() + "/key.sealed.new", "x", 0600).ok());
    ASSERT_TRUE(WriteFileAtomically(rig.state() + "/seal.key.new.1.2", "x", 0600).ok());
    const auto removed = vault->Destroy();
    ASSERT_TRUE(removed.ok()) << removed.status();
    EXPECT_THAT(*removed, Contains(place.seal ? rig.state() + "/key.sealed"
                                              : std::string(SecretService::kItemName)));
    EXPECT_TRUE(rig.keyring->seeds.empty());
    EXPECT_TRUE(std::filesystem::is_empty(rig.state()));
    EXPECT_EQ(rig.PublicKeyAfterRestart(), "");
    EXPECT_THAT(*vault->Destroy(), IsEmpty());
  }
}

TEST(KeystoreDestroy, SaysWhatIsLeftAndFinishesLater) {
  const VaultRig rig;
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  rig.keyring->unreachable = true;
  const absl::Status left = vault->Destroy().status();
  EXPECT_FALSE(left.ok());
  EXPECT_THAT(Message(left), HasSubstr(SecretService::kItemName));
  rig.keyring->unreachable = false;
  ASSERT_TRUE(vault->Destroy().ok());
  EXPECT_TRUE(rig.keyring->seeds.empty());
}

TEST(KeystoreDestroy, AnItemThatBecameAnotherKeyIsLeftAlone) {
  const VaultRig rig;
  const auto vault = rig.Start();
  ASSERT_TRUE(vault->Load().ok());
  ASSERT_TRUE(vault->Save(KeyOf(kSomeSeed), {}).ok());
  rig.keyring->seeds = {kOtherSeed};
  EXPECT_THAT(Message(vault->Destroy().status()), HasSubstr("holds another key"));
  EXPECT_EQ(rig.keyring->seeds[0], kOtherSeed);
}

}  // namespace
}  // namespace auspex::keyd
