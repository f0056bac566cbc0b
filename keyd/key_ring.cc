// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/key_ring.h"

#include <utility>

#include "common/base/status_macros.h"

namespace auspex::keyd {

absl::Status NoKey() { return absl::FailedPreconditionError("no key: run `auspex bootstrap`"); }

KeyRing::KeyRing(std::string state_dir, VaultOptions options)
    : state_dir_(std::move(state_dir)),
      machine_identity_(options.sources.machine_identity),
      vault_(state_dir_, std::move(options)) {}

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::Load(const std::string& state_dir,
                                                       SealSources sources) {
  VaultOptions options;
  options.sources = std::move(sources);
  options.why_no_service = "it is not asked";
  return Load(state_dir, std::move(options));
}

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::Load(const std::string& state_dir,
                                                       VaultOptions options) {
  std::unique_ptr<KeyRing> ring(new KeyRing(state_dir, std::move(options)));
  ASSIGN_OR_RETURN(std::optional<SecretKey> key, ring->vault_.Load());
  ring->storage_ = ring->vault_.status();
  if (!key) return ring;
  ASSIGN_OR_RETURN(std::optional<Enrolment> enrolment,
                   LoadEnrolment(ring->EnrolmentPath(), key->public_key_hex()));
  ring->current_.key_ = std::make_shared<const SecretKey>(*std::move(key));
  if (enrolment)
    ring->current_.enrolment_ = std::make_shared<const Enrolment>(*std::move(enrolment));
  return ring;
}

std::unique_ptr<KeyRing> KeyRing::InMemory(SecretKey key, std::optional<Enrolment> enrolment) {
  std::unique_ptr<KeyRing> ring(new KeyRing("", VaultOptions{}));
  ring->current_.key_ = std::make_shared<const SecretKey>(std::move(key));
  if (enrolment)
    ring->current_.enrolment_ = std::make_shared<const Enrolment>(*std::move(enrolment));
  return ring;
}

KeyRing::View KeyRing::view() const {
  std::shared_lock lock(view_mutex_);
  return current_;
}

absl::StatusOr<UnreleasedSignature> KeyRing::Compute(const View& view,
                                                     std::string_view message) const {
  if (!view.has_key()) return NoKey();
  return UnreleasedSignature::Make(*view.key_, message);
}

absl::StatusOr<std::string> KeyRing::Release(const View& view, const DurableRecord& proof,
                                             const UnreleasedSignature& signature) const {
  std::shared_lock lock(view_mutex_);
  if (view.key_ != current_.key_ || view.enrolment_ != current_.enrolment_) {
    return absl::FailedPreconditionError(
        "the key or its enrolment was changed meanwhile; ask again");
  }
  return signature.Release(proof);
}

absl::StatusOr<std::string> KeyRing::Sign(const View& view, const DurableRecord& proof,
                                          std::string_view message) const {
  ASSIGN_OR_RETURN(const UnreleasedSignature signature, Compute(view, message));
  return Release(view, proof, signature);
}

absl::Status KeyRing::Put(SecretKey key,
                          const std::function<absl::Status(const SecretKey&)>& keep) {
  std::lock_guard lock(store_mutex_);
  if (view().has_key()) return absl::AlreadyExistsError("there is a key already");
  // A pin that an earlier key left behind must not come back with this one.
  RETURN_IF_ERROR(RemoveEnrolment(state_dir_, EnrolmentPath()));
  RETURN_IF_ERROR(keep(key));
  std::unique_lock write(view_mutex_);
  current_.key_ = std::make_shared<const SecretKey>(std::move(key));
  current_.enrolment_ = nullptr;
  storage_ = vault_.status();
  return absl::OkStatus();
}

absl::Status KeyRing::Install(SecretKey key, const Place& place) {
  return Put(std::move(key), [&](const SecretKey& kept) { return vault_.Save(kept, place); });
}

absl::StatusOr<SecretKey> KeyRing::LoadWaiting() {
  std::lock_guard lock(store_mutex_);
  return vault_.LoadWaiting();
}

absl::Status KeyRing::Adopt(SecretKey key) {
  return Put(std::move(key), [&](const SecretKey& kept) { return vault_.Adopt(kept); });
}

absl::StatusOr<std::string> KeyRing::Move(const Place& place) {
  std::lock_guard lock(store_mutex_);
  const View now = view();
  if (!now.has_key()) return NoKey();
  const std::string was = vault_.status().Words();
  const absl::Status moved = vault_.Move(*now.key_, place);
  std::unique_lock write(view_mutex_);
  // Also after an error: it may have been half done, and the advice then says so.
  storage_ = vault_.status();
  RETURN_IF_ERROR(moved);
  return was;
}

absl::Status KeyRing::SetEnrolment(const Enrolment& enrolment) {
  std::lock_guard lock(store_mutex_);
  const View now = view();
  if (!now.has_key()) return NoKey();
  if (!state_dir_.empty()) {
    RETURN_IF_ERROR(StoreEnrolment(EnrolmentPath(), now.public_key_hex(), enrolment));
  }
  std::unique_lock write(view_mutex_);
  current_.enrolment_ = std::make_shared<const Enrolment>(enrolment);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> KeyRing::Destroy() {
  std::lock_guard lock(store_mutex_);
  {
    // Out of use first: a failure of the disk leaves no key that still signs. The last view that
    // holds the key wipes it.
    std::unique_lock write(view_mutex_);
    current_ = View();
  }
  if (state_dir_.empty()) return std::vector<std::string>{};
  RETURN_IF_ERROR(RemoveEnrolment(state_dir_, EnrolmentPath()));
  absl::StatusOr<std::vector<std::string>> removed = vault_.Destroy();
  std::unique_lock write(view_mutex_);
  storage_ = vault_.status();
  return removed;
}

StorageStatus KeyRing::storage() const {
  std::shared_lock lock(view_mutex_);
  return storage_;
}

}  // namespace auspex::keyd
