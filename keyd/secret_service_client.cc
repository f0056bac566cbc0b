// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/secret_service_client.h"

#include <array>
#include <charconv>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "keyd/secret_service/helper_exit.h"

namespace auspex::keyd {
namespace {

absl::Status StatusOf(const HelperGate::End& end, int timeout_ms) {
  if (end.timed_out) {
    return absl::UnavailableError(Cat("Secret Service: no answer within ", timeout_ms / 1000,
                                      " s; unlock the keyring, or see why it hangs"));
  }
  const std::string said = end.message.empty() ? "" : Cat(": ", end.message);
  switch (end.exit_code) {
    case kHelperOk:
      return absl::OkStatus();
    case kHelperNoItem:
      return absl::NotFoundError(Cat("Secret Service", said));
    case kHelperUnreachable:
      return absl::UnavailableError(Cat("Secret Service", said));
    case kHelperSeveralItems:
      return absl::FailedPreconditionError(
          Cat("Secret Service", said,
              "; remove those that are not this worker's with the keyring's own program"));
    case kHelperWrongLength:
      return absl::FailedPreconditionError(Cat("Secret Service", said));
    case kHelperLocked:
      return absl::FailedPreconditionError(Cat("Secret Service", said, "; unlock the keyring"));
    case kHelperItemExists:
      return absl::AlreadyExistsError(Cat("Secret Service", said));
    default:
      return absl::InternalError(
          Cat("Secret Service: the helper ended with ", end.exit_code, said));
  }
}

}  // namespace

absl::StatusOr<int> GatedSecretService::CountItems(int timeout_ms) {
  std::array<unsigned char, 32> text{};
  ASSIGN_OR_RETURN(const HelperGate::End end,
                   gate_.Run(HelperGate::Command::kProbe, timeout_ms, {}, text));
  RETURN_IF_ERROR(StatusOf(end, timeout_ms));
  const char* begin = reinterpret_cast<const char*>(text.data());
  int count = -1;
  const auto [rest, error] = std::from_chars(begin, begin + text.size(), count);
  if (error != std::errc() || count < 0 || *rest != ' ') {
    return absl::InternalError("Secret Service: the helper's count cannot be read");
  }
  return count;
}

absl::StatusOr<SecretKey> GatedSecretService::Load(int timeout_ms) {
  // The pipe is read straight into memory that nobody else can.
  ASSIGN_OR_RETURN(SecretMemory seed, SecretMemory::Create(SecretKey::kSeedOctets));
  ASSIGN_OR_RETURN(const HelperGate::End end,
                   gate_.Run(HelperGate::Command::kLoad, timeout_ms, {}, seed.octets()));
  RETURN_IF_ERROR(StatusOf(end, timeout_ms));
  if (end.output_octets != SecretKey::kSeedOctets) {
    return absl::InternalError(
        Cat("Secret Service: the helper gave ", end.output_octets, " octets, not a seed"));
  }
  return SecretKey::FromSeed(std::move(seed));
}

absl::Status GatedSecretService::Store(const SecretKey& key, int timeout_ms) {
  ASSIGN_OR_RETURN(const HelperGate::End end,
                   gate_.Run(HelperGate::Command::kStore, timeout_ms,
                             key.Seed(SecretKeyAccess::ForReviewedUse()), {}));
  return StatusOf(end, timeout_ms);
}

absl::Status GatedSecretService::Delete(int timeout_ms) {
  ASSIGN_OR_RETURN(const HelperGate::End end,
                   gate_.Run(HelperGate::Command::kDelete, timeout_ms, {}, {}));
  return StatusOf(end, timeout_ms);
}

}  // namespace auspex::keyd
