// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/key_ring.h"

#include <utility>

#include "common/base/status_macros.h"
#include "keyd/durable_signer.h"

namespace auspex::keyd {

absl::Status NoKey() { return absl::FailedPreconditionError("no key: run `auspex bootstrap`"); }

KeyRing::KeyRing(std::string state_dir, SealSources sources)
    : state_dir_(std::move(state_dir)), store_(state_dir_, std::move(sources)) {}

absl::StatusOr<std::unique_ptr<KeyRing>> KeyRing::Load(const std::string& state_dir,
                                                       SealSources sources) {
  std::unique_ptr<KeyRing> ring(new KeyRing(state_dir, std::move(sources)));
  ASSIGN_OR_RETURN(std::optional<SecretKey> key, ring->store_.Load());
  if (!key) return ring;
  ASSIGN_OR_RETURN(std::optional<Enrolment> enrolment,
                   LoadEnrolment(ring->EnrolmentPath(), key->public_key_hex()));
  ring->current_.key_ = std::make_shared<const SecretKey>(*std::move(key));
  if (enrolment)
    ring->current_.enrolment_ = std::make_shared<const Enrolment>(*std::move(enrolment));
  return ring;
}

std::unique_ptr<KeyRing> KeyRing::InMemory(SecretKey key, std::optional<Enrolment> enrolment) {
  std::unique_ptr<KeyRing> ring(new KeyRing("", SealSources{}));
  ring->current_.key_ = std::make_shared<const SecretKey>(std::move(key));
  if (enrolment)
    ring->current_.enrolment_ = std::make_shared<const Enrolment>(*std::move(enrolment));
  return ring;
}

KeyRing::View KeyRing::view() const {
  std::shared_lock lock(view_mutex_);
  return current_;
}

absl::StatusOr<std::string> KeyRing::Sign(const View& view, const DurableRecord& proof,
                                          std::string_view message) const {
  if (!view.has_key()) return NoKey();
  std::shared_lock lock(view_mutex_);
  if (view.key_ != current_.key_ || view.enrolment_ != current_.enrolment_) {
    return absl::FailedPreconditionError(
        "the key or its enrolment was changed meanwhile; ask again");
  }
  return SignDurable(*view.key_, proof, message);
}

absl::Status KeyRing::Install(SecretKey key) {
  std::lock_guard lock(store_mutex_);
  if (view().has_key()) return absl::AlreadyExistsError("there is a key already");
  // A pin that an earlier key left behind must not come back with this one.
  RETURN_IF_ERROR(RemoveEnrolment(state_dir_, EnrolmentPath()));
  RETURN_IF_ERROR(store_.Save(key));
  std::unique_lock write(view_mutex_);
  current_.key_ = std::make_shared<const SecretKey>(std::move(key));
  current_.enrolment_ = nullptr;
  return absl::OkStatus();
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

absl::Status KeyRing::Destroy() {
  std::lock_guard lock(store_mutex_);
  {
    // Out of use first: a failure of the disk leaves no key that still signs. The last view that
    // holds the key wipes it.
    std::unique_lock write(view_mutex_);
    current_ = View();
  }
  if (state_dir_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(RemoveEnrolment(state_dir_, EnrolmentPath()));
  return store_.Destroy();
}

SealKind KeyRing::seal() const {
  std::lock_guard lock(store_mutex_);
  return store_.seal();
}

bool KeyRing::key_in_secret_memory() const {
  const View now = view();
  return !now.key_ || now.key_->memory_kind() == SecretMemory::Kind::kSecretFd;
}

}  // namespace auspex::keyd
