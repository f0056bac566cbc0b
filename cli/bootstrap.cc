// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/bootstrap.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/wire/base_url.h"

namespace auspex::cli {
namespace {

BootstrapOutcome Failed(int exit_code, std::string cause, std::string remedy = {}) {
  BootstrapOutcome outcome;
  outcome.exit_code = exit_code;
  outcome.cause = std::move(cause);
  outcome.remedy = std::move(remedy);
  return outcome;
}

BootstrapOutcome Failed(int exit_code, const absl::Status& status, std::string remedy = {}) {
  return Failed(exit_code, std::string(status.message()), std::move(remedy));
}

std::string RemedyOf(const std::string& refusal) {
  if (refusal == "pubkey_already_tenant") {
    return "this key submits work and cannot run it: 'auspex withdraw' deletes it, then bootstrap "
           "makes a new one";
  }
  if (refusal == "pubkey_already_enrolled") {
    return "the coordinator knows this key, but this machine has no record of it: find out whether "
           "a copy of the key is in use "
           "elsewhere; 'auspex withdraw' deletes the key here, then bootstrap makes a new one";
  }
  if (refusal == "pubkey_retired") {
    return "this key was withdrawn for good: 'auspex withdraw' deletes it here, then bootstrap "
           "makes a new one";
  }
  return "";
}

std::string DifferentKeys(const std::string& kept, const std::string& enrolled) {
  return Cat("the key is not the enrolled one\n  key in keyd:   ", kept,
             "\n  key enrolled:  ", enrolled);
}

BootstrapOutcome FinishRecorded(Worker& worker, const stated_v1::Identity& identity,
                                const keyd_v1::KeyIdentity& key) {
  if (!key.has_key()) {
    return Failed(kExitRefused,
                  Cat("worker ", identity.worker_id(), " is enrolled, but its key is gone"),
                  "auspex withdraw, then auspex bootstrap");
  }
  if (key.public_key_hex() != identity.public_key_hex()) {
    return Failed(kExitRefused, DifferentKeys(key.public_key_hex(), identity.public_key_hex()),
                  "bring the enrolled key back, or: auspex withdraw, then auspex bootstrap");
  }
  // Always, and not only when an earlier run ended between the record and the pin: by pinning anew
  // the owner confirms this machine's clock to keyd (docs/SIGNING.md, "created").
  if (absl::Status status = worker->SetEnrolment(identity.base_url(), identity.worker_id());
      !status.ok()) {
    return Failed(kExitFailure, status);
  }
  BootstrapOutcome outcome;
  outcome.worker_id = identity.worker_id();
  outcome.public_key_hex = identity.public_key_hex();
  outcome.base_url = identity.base_url();
  outcome.trust_tier = identity.trust_tier();
  outcome.already_enrolled = true;
  return outcome;
}

}  // namespace

BootstrapOutcome Bootstrap(Worker& worker, bool new_key) {
  if (absl::Status status = worker.Need({"stated"}); !status.ok())
    return Failed(kExitFailure, status);
  if (absl::Status status = worker.Need({"stated", "keyd"}); !status.ok()) {
    return Failed(kExitRefused, status, "the key store could not be opened; see the reason above");
  }
  const absl::StatusOr<stated_v1::Status> recorded = worker->WorkerStatus();
  if (!recorded.ok()) return Failed(kExitFailure, recorded.status());
  const absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus();
  if (!status.ok()) return Failed(kExitRefused, status.status());
  if (recorded->identity().enrolled()) {
    return FinishRecorded(worker, recorded->identity(), status->identity());
  }

  keyd_v1::KeyIdentity key = status->identity();
  if (!key.has_key()) {
    // Without a key, keyd's advice is about one that waits to be taken over.
    if (!status->advice().empty() && !new_key) {
      return Failed(
          kExitRefused, status->advice(),
          "the command above; or 'auspex bootstrap --new-key' to leave that key alone and "
          "make another");
    }
    absl::StatusOr<keyd_v1::KeyIdentity> made = worker->CreateKey();
    if (!made.ok())
      return Failed(kExitRefused, made.status(), "no key could be stored; nothing was enrolled");
    key = *std::move(made);
  }
  if (absl::Status need = worker.Need({"stated", "keyd", "netd"}); !need.ok())
    return Failed(kExitFailure, need);
  const absl::StatusOr<netd_v1::EnrolResponse> enrolled = worker->Enrol(key.public_key_hex());
  if (!enrolled.ok()) {
    return Failed(
        kExitFailure, enrolled.status(),
        "the key was kept and is used again: repeat the command when the coordinator answers");
  }
  if (!enrolled->refusal().empty()) {
    return Failed(kExitRefused,
                  Cat("the coordinator does not take this key: ", enrolled->refusal()),
                  RemedyOf(enrolled->refusal()));
  }
  if (absl::Status pinned = worker->SetEnrolment(enrolled->base_url(), enrolled->worker_id());
      !pinned.ok()) {
    return Failed(kExitFailure, pinned, "run auspex bootstrap again");
  }
  BootstrapOutcome outcome;
  outcome.worker_id = enrolled->worker_id();
  outcome.public_key_hex = key.public_key_hex();
  outcome.base_url = enrolled->base_url();
  outcome.trust_tier = enrolled->trust_tier();
  outcome.already_enrolled = enrolled->already_enrolled();
  return outcome;
}

bool NamesAnotherCoordinator(const std::string& configured_url, const std::string& enrolled_url) {
  const absl::StatusOr<BaseUrl> configured = BaseUrl::Parse(configured_url);
  return !configured.ok() || configured->str() != enrolled_url;
}

absl::Status CheckEnrolment(Clients& clients, const std::string& configured_url) {
  ASSIGN_OR_RETURN(const stated_v1::Status status, clients.WorkerStatus());
  ASSIGN_OR_RETURN(const keyd_v1::KeyStatus key_status, clients.KeyStatus());
  const stated_v1::Identity& identity = status.identity();
  const keyd_v1::KeyIdentity& key = key_status.identity();
  if (!identity.enrolled()) {
    return absl::FailedPreconditionError("this worker is not enrolled\nnext: auspex bootstrap");
  }
  if (!key.has_key()) {
    return absl::FailedPreconditionError(
        Cat("worker ", identity.worker_id(),
            " is enrolled, but its key is gone\nnext: auspex withdraw, then auspex bootstrap"));
  }
  if (key.public_key_hex() != identity.public_key_hex()) {
    return absl::FailedPreconditionError(
        DifferentKeys(key.public_key_hex(), identity.public_key_hex()));
  }
  if (key.worker_id() != identity.worker_id() || key.base_url() != identity.base_url()) {
    return absl::FailedPreconditionError(
        Cat("keyd is not pinned to worker ", identity.worker_id(), " at ", identity.base_url(),
            "\nnext: auspex bootstrap finishes the interrupted enrolment"));
  }
  // keyd signs for the enrolled coordinator alone, so nothing would ever reach the other one.
  if (NamesAnotherCoordinator(configured_url, identity.base_url())) {
    return absl::FailedPreconditionError(
        Cat("this worker is enrolled with ", identity.base_url(), ", but the configuration names ",
            configured_url,
            "\nnext: name the former in AUSPEXAI_COORDINATOR_URL or [coordinator] url; to move to "
            "the latter: auspex withdraw, then auspex bootstrap"));
  }
  return absl::OkStatus();
}

}  // namespace auspex::cli
