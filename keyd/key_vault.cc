// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/key_vault.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {

constexpr char kForcedService[] = "secret_service", kForcedFile[] = "encrypted_file";
// For a look that only serves the advice.
constexpr int kGlanceMs = 2'000;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

absl::Status With(const absl::Status& status, std::string_view more) {
  return absl::Status(status.code(), Cat(Text(status), more));
}

}  // namespace

std::string_view KeystoreWord(Keystore keystore) {
  return keystore == Keystore::kSecretService ? "secret-service" : "sealed-file";
}

std::string StorageStatus::Words() const {
  if (keystore == Keystore::kSecretService) return std::string(KeystoreWord(keystore));
  return Cat(KeystoreWord(keystore), " under ", SealWord(seal));
}

KeyVault::KeyVault(const std::string& state_dir, VaultOptions options)
    : options_(std::move(options)),
      marker_(state_dir),
      file_(state_dir, options_.sources, options_.before_step) {}

absl::Status KeyVault::Step(std::string_view step) const {
  return options_.before_step ? options_.before_step(step) : absl::OkStatus();
}

absl::Status KeyVault::NoService() const {
  return absl::FailedPreconditionError(
      Cat("the Secret Service cannot be used: ", options_.why_no_service));
}

void KeyVault::CountItemsAtStart(int timeout_ms) {
  if (options_.secret_service == nullptr) return;
  const absl::StatusOr<int> count = options_.secret_service->CountItems(timeout_ms);
  if (count.ok()) items_ = *count;
}

absl::StatusOr<std::optional<SecretKey>> KeyVault::Load() {
  ASSIGN_OR_RETURN(const std::optional<std::string> known, marker_.Read());
  if (known) return LoadFromService(*known);
  if (options_.backend == kForcedService) {
    if (options_.secret_service == nullptr) {
      return With(
          NoService(),
          ". identity.keystore_backend = \"secret_service\" demands it: start auspex in the "
          "desktop session, or set identity.keystore_backend = \"encrypted_file\"");
    }
    const absl::StatusOr<int> count = options_.secret_service->CountItems(SecretService::kStartMs);
    if (!count.ok()) {
      return absl::FailedPreconditionError(
          Cat(Text(count.status()),
              ". identity.keystore_backend = \"secret_service\" demands it: start or unlock the "
              "keyring, or set identity.keystore_backend = \"encrypted_file\""));
    }
    items_ = *count;
  } else if (options_.backend != kForcedFile) {
    CountItemsAtStart(file_.exists() ? kGlanceMs : SecretService::kStartMs);
  }
  ASSIGN_OR_RETURN(std::optional<SecretKey> key, file_.Load());
  has_key_ = key.has_value();
  return key;
}

absl::StatusOr<std::optional<SecretKey>> KeyVault::LoadFromService(
    const std::string& public_key_hex) {
  const auto refuse = [&](std::string_view cause, std::string_view remedy) {
    return absl::FailedPreconditionError(Cat("the key ", public_key_hex.substr(0, 16),
                                             "... is in the Secret Service (", marker_.path(),
                                             " says so), but ", cause, ". ", remedy));
  };
  if (options_.backend == kForcedFile) {
    return refuse(
        "identity.keystore_backend = \"encrypted_file\" forbids it",
        "Take that setting out, run `auspex key seal --keystore sealed-file`, and set it again");
  }
  if (options_.secret_service == nullptr) {
    return refuse(options_.why_no_service,
                  "Start auspex in the desktop session that holds the keyring; "
                  "`auspex key seal --keystore sealed-file` there moves the key to a file");
  }
  absl::StatusOr<SecretKey> key = options_.secret_service->Load(SecretService::kStartMs);
  if (absl::IsNotFound(key.status())) {
    return refuse("the keyring has no such item",
                  Cat("Restore the keyring. If it is lost for good, the identity is: remove ",
                      marker_.path(), " and run `auspex bootstrap`, which makes a new one"));
  }
  if (!key.ok()) {
    return refuse(
        Text(key.status()),
        "Start or unlock the keyring, and start auspex again. If it is lost for good, the "
        "identity is: `auspex withdraw`, and then see docs/formats/sealed-key.md");
  }
  if (key->public_key_hex() != public_key_hex) {
    return refuse(
        Cat("the item there is another key, ", key->public_key_hex().substr(0, 16), "..."),
        "Put the right item back with the keyring's own program");
  }
  has_key_ = in_service_ = true;
  file_beside_ = file_.exists();
  if (file_beside_) {
    file_beside_note_ = file_.PublicKeyAtRest().value_or("") == public_key_hex
                            ? "the same key is also in "
                            : "another key, which is not used, is in ";
  }
  return std::optional<SecretKey>(*std::move(key));
}

absl::StatusOr<Keystore> KeyVault::Choose(const Place& place) const {
  if (place.keystore == Keystore::kSecretService && place.seal) {
    return absl::InvalidArgumentError("seal: only a sealed file has one, not the Secret Service");
  }
  std::optional<Keystore> wanted = place.keystore;
  if (!wanted && place.seal) wanted = Keystore::kSealedFile;
  const auto contradicts = [](const char* word) {
    return absl::InvalidArgumentError(Cat("keystore: identity.keystore_backend = \"", word,
                                          "\" in the configuration forbids it"));
  };
  if (options_.backend == kForcedService) {
    if (wanted == Keystore::kSealedFile) return contradicts(kForcedService);
    return Keystore::kSecretService;
  }
  if (options_.backend == kForcedFile) {
    if (wanted == Keystore::kSecretService) return contradicts(kForcedFile);
    return Keystore::kSealedFile;
  }
  if (wanted) return *wanted;
  return in_service_ || items_ == 0 ? Keystore::kSecretService : Keystore::kSealedFile;
}

absl::Status KeyVault::Save(const SecretKey& key, const Place& place) {
  ASSIGN_OR_RETURN(const Keystore keystore, Choose(place));
  if (keystore == Keystore::kSecretService) {
    if (file_.exists()) {
      return absl::AlreadyExistsError(Cat(file_.path(), ": there is a key already"));
    }
    RETURN_IF_ERROR(SaveInService(key));
  } else {
    RETURN_IF_ERROR(file_.Save(key, place.seal));
  }
  has_key_ = true;
  return absl::OkStatus();
}

// An item that holds `key`, read back; then the marker. Interrupted between the two it is an item
// that waits to be taken over.
absl::Status KeyVault::SaveInService(const SecretKey& key) {
  SecretService* service = options_.secret_service;
  if (service == nullptr) return NoService();
  ASSIGN_OR_RETURN(const int items, service->CountItems(SecretService::kOwnerMs));
  if (items == 0) {
    RETURN_IF_ERROR(Step("store the item"));
    RETURN_IF_ERROR(service->Store(key, SecretService::kOwnerMs));
  }
  RETURN_IF_ERROR(Step("read the item back"));
  ASSIGN_OR_RETURN(const SecretKey stored, service->Load(SecretService::kOwnerMs));
  if (stored.public_key() != key.public_key()) {
    items_ = items;
    return absl::AlreadyExistsError(
        "the Secret Service already holds another worker key: take it over with `auspex key import "
        "--from-secret-service`, or remove it with the keyring's own program");
  }
  RETURN_IF_ERROR(Step("write the marker"));
  RETURN_IF_ERROR(marker_.Write(key.public_key_hex()));
  in_service_ = true;
  items_.reset();
  return absl::OkStatus();
}

absl::StatusOr<SecretKey> KeyVault::LoadWaiting() {
  if (options_.backend == kForcedFile) {
    return absl::InvalidArgumentError(
        "keystore: identity.keystore_backend = \"encrypted_file\" in the configuration forbids it");
  }
  if (options_.secret_service == nullptr) return NoService();
  if (file_.exists()) {
    return absl::AlreadyExistsError(Cat(file_.path(), ": there is a key already"));
  }
  return options_.secret_service->Load(SecretService::kOwnerMs);
}

absl::Status KeyVault::Adopt(const SecretKey& key) {
  RETURN_IF_ERROR(marker_.Write(key.public_key_hex()));
  has_key_ = in_service_ = true;
  items_.reset();
  return absl::OkStatus();
}

absl::Status KeyVault::Move(const SecretKey& key, const Place& place) {
  ASSIGN_OR_RETURN(const Keystore target, Choose(place));
  return target == Keystore::kSecretService ? MoveToService(key) : MoveToFile(key, place.seal);
}

absl::Status KeyVault::MoveToService(const SecretKey& key) {
  // Whatever file is there must be this key's before it may be wiped.
  if (file_.exists() && file_.PublicKeyAtRest() != key.public_key_hex()) {
    return absl::AlreadyExistsError(Cat(file_.path(), ": holds another key"));
  }
  RETURN_IF_ERROR(SaveInService(key));
  RETURN_IF_ERROR(Step("wipe the sealed file"));
  const absl::StatusOr<std::vector<std::string>> wiped = file_.Destroy();
  file_beside_ = file_.exists();
  if (!wiped.ok()) {
    file_beside_note_ = "the same key is also in ";
    return With(wiped.status(),
                ". The key is in the Secret Service now, but its sealed file is left; run the "
                "command again");
  }
  return absl::OkStatus();
}

absl::Status KeyVault::MoveToFile(const SecretKey& key, std::optional<SealKind> seal) {
  RETURN_IF_ERROR(file_.exists() ? file_.Reseal(key, seal) : file_.Save(key, seal));
  const bool was_in_service = in_service_;
  if (was_in_service) {
    RETURN_IF_ERROR(Step("remove the marker"));
    RETURN_IF_ERROR(marker_.Remove());
    in_service_ = file_beside_ = false;
  }
  // A copy may also be left of an earlier move that was interrupted.
  if (!was_in_service && items_.value_or(0) == 0) return absl::OkStatus();
  RETURN_IF_ERROR(Step("remove the item"));
  const absl::StatusOr<bool> gone = RemoveItem(key.public_key_hex());
  if (gone.ok()) {
    items_ = *gone || was_in_service ? 0 : items_;
    return absl::OkStatus();
  }
  if (!was_in_service) return absl::OkStatus();  // another worker's item is no business of ours
  items_ = 1;
  return With(
      gone.status(),
      ". The key is in the sealed file now, but its item in the Secret Service is left; run "
      "the command again, or remove the item with the keyring's own program");
}

absl::StatusOr<bool> KeyVault::RemoveItem(const std::string& public_key_hex) {
  SecretService* service = options_.secret_service;
  if (service == nullptr) return NoService();
  const absl::StatusOr<SecretKey> item = service->Load(SecretService::kOwnerMs);
  if (absl::IsNotFound(item.status())) return false;
  RETURN_IF_ERROR(item.status());
  if (item->public_key_hex() != public_key_hex) {
    return absl::FailedPreconditionError(
        Cat("the ", SecretService::kItemName, " holds another key and is left alone"));
  }
  RETURN_IF_ERROR(service->Delete(SecretService::kOwnerMs));
  return true;
}

absl::StatusOr<std::vector<std::string>> KeyVault::Destroy() {
  std::vector<std::string> removed;
  std::string left;
  ASSIGN_OR_RETURN(const std::optional<std::string> known, marker_.Read());
  const std::optional<std::string> at_rest = known ? known : file_.PublicKeyAtRest();
  if (known || (at_rest && items_.value_or(0) > 0)) {
    const absl::StatusOr<bool> item = RemoveItem(*at_rest);
    if (item.ok() && *item) removed.emplace_back(SecretService::kItemName);
    if (item.ok()) items_ = 0;
    // An item that was never ours stays, and that is no failure.
    if (known && !item.ok()) {
      left = Cat(SecretService::kItemName, " (", Text(item.status()), ")");
    } else if (known) {
      const absl::Status unmarked = marker_.Remove();
      if (!unmarked.ok()) left = Text(unmarked);
      if (unmarked.ok()) removed.push_back(marker_.path());
    }
  }
  const absl::StatusOr<std::vector<std::string>> files = file_.Destroy();
  if (files.ok()) {
    removed.insert(removed.end(), files->begin(), files->end());
  } else {
    left += Cat(left.empty() ? "" : "; ", Text(files.status()));
  }
  if (!left.empty())
    return absl::FailedPreconditionError(Cat("the key is not gone: left is ", left));
  has_key_ = in_service_ = file_beside_ = false;
  return removed;
}

StorageStatus KeyVault::status() const {
  StorageStatus status;
  const absl::StatusOr<Keystore> chosen = Choose({});
  status.keystore = has_key_ ? (in_service_ ? Keystore::kSecretService : Keystore::kSealedFile)
                             : chosen.value_or(Keystore::kSealedFile);
  status.seal = file_.seal();
  const bool waits_in_service = items_.value_or(0) > 0;
  if (!has_key_) {
    if (waits_in_service) {
      status.advice =
          "the Secret Service holds the key of an existing worker; to take it over, stop that "
          "worker "
          "and run: auspex key import --from-secret-service";
    } else if (!options_.existing_keystore.empty()) {
      status.advice = Cat("an existing worker's key is in ", options_.existing_keystore,
                          "; to take it over, stop that worker and run: auspex key import ",
                          options_.existing_keystore);
    }
    return status;
  }
  if (in_service_ && file_beside_) {
    status.advice = Cat(file_beside_note_, file_.path(),
                        "; `auspex key seal --keystore secret-service` wipes a copy of this key");
  } else if (!in_service_ && waits_in_service) {
    status.advice =
        "the Secret Service also holds a worker key, which is not used; `auspex key seal "
        "--keystore "
        "sealed-file` removes it when it is a copy of this one";
  } else if (!in_service_ && options_.backend == kForcedService) {
    status.advice =
        "identity.keystore_backend = \"secret_service\", but the key is in the sealed file; move "
        "it: "
        "auspex key seal --keystore secret-service";
  } else if (!in_service_ && status.seal == SealKind::kMachine) {
    status.advice =
        "the key is sealed with the machine's id, which is no secret; `auspex key seal` takes a "
        "better one";
  }
  return status;
}

}  // namespace auspex::keyd
