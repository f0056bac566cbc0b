// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/intent.h"

namespace auspex {

std::string_view RoleWord(Role role) {
  switch (role) {
    case Role::kRequest:
      return "request";
    case Role::kResult:
      return "result";
    case Role::kOwner:
      return "owner";
    case Role::kSelf:
      return "self";
  }
  return "unknown";
}

std::string_view IntentWord(Intent intent) {
  switch (intent) {
    case Intent::kHeartbeat:
      return "heartbeat";
    case Intent::kPoll:
      return "poll";
    case Intent::kRefuse:
      return "refuse";
    case Intent::kSubmitResult:
      return "submit_result";
    case Intent::kFetchReceipt:
      return "fetch_receipt";
    case Intent::kFetchPackage:
      return "fetch_package";
    case Intent::kUpgrade:
      return "upgrade";
    case Intent::kRetire:
      return "retire";
    case Intent::kUnbind:
      return "unbind";
    case Intent::kGetAttribution:
      return "get_attribution";
    case Intent::kPutAttribution:
      return "put_attribution";
    case Intent::kPrestage:
      return "prestage";
    case Intent::kSupportedModels:
      return "supported_models";
    case Intent::kServeRecovered:
      return "serve_recovered";
    case Intent::kNone:
      return "none";
    case Intent::kSignResult:
      return "sign_result";
    case Intent::kSignRawText:
      return "sign_raw_text";
    case Intent::kSignCheckpoint:
      return "sign_checkpoint";
    case Intent::kCreateKey:
      return "create_key";
    case Intent::kDestroyKey:
      return "destroy_key";
    case Intent::kSetEnrolment:
      return "set_enrolment";
    case Intent::kOpenGrant:
      return "open_grant";
    case Intent::kImportKey:
      return "import_key";
    case Intent::kSealKey:
      return "seal_key";
  }
  return "unknown";
}

std::string_view OwnerActWord(OwnerAct act) {
  switch (act) {
    case OwnerAct::kRetire:
      return "retire";
    case OwnerAct::kUpgrade:
      return "upgrade";
    case OwnerAct::kUnbind:
      return "unbind";
  }
  return "unknown";
}

std::optional<Role> RoleOf(uint8_t number) {
  const Role role{number};
  if (RoleWord(role) == "unknown") return std::nullopt;
  return role;
}

std::optional<Intent> IntentOf(uint8_t number) {
  const Intent intent{number};
  if (IntentWord(intent) == "unknown") return std::nullopt;
  return intent;
}

std::optional<Outcome> OutcomeOf(uint8_t number) {
  if (number < 1 || number > 3) return std::nullopt;
  return Outcome{number};
}

std::optional<OwnerAct> GrantNeededFor(Intent intent) {
  switch (intent) {
    case Intent::kRetire:
      return OwnerAct::kRetire;
    case Intent::kUpgrade:
      return OwnerAct::kUpgrade;
    case Intent::kUnbind:
      return OwnerAct::kUnbind;
    default:
      return std::nullopt;
  }
}

}  // namespace auspex
