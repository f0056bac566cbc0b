// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/request_composer.h"

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/wire/routes.h"

namespace auspex::keyd {
namespace {

template <typename Id>
absl::StatusOr<Id> Field(std::string_view name, const std::string& untrusted_text) {
  absl::StatusOr<Id> id = Id::Parse(untrusted_text);
  if (id.ok()) return id;
  return absl::InvalidArgumentError(Cat(name, ": ", std::string(id.status().message())));
}

bool HasBody(Intent intent) {
  switch (intent) {
    case Intent::kHeartbeat:
    case Intent::kRefuse:
    case Intent::kSubmitResult:
    case Intent::kUpgrade:
    case Intent::kPutAttribution:
    case Intent::kServeRecovered:
      return true;
    default:
      return false;
  }
}

// The route of `request`; fills subject and unit of `out`.
absl::StatusOr<Route> RouteOf(const UntrustedRequest& request, const WorkerId& worker,
                              ComposedRequest& out) {
  switch (request.intent) {
    case Intent::kHeartbeat:
      return routes::Heartbeat(worker);
    case Intent::kPoll:
      return routes::Poll(worker);
    case Intent::kPrestage:
      return routes::Prestage(worker);
    case Intent::kSupportedModels:
      return routes::SupportedModels();
    case Intent::kServeRecovered:
      return routes::ServeRecovered(worker);
    case Intent::kUpgrade:
      return routes::Upgrade(worker);
    case Intent::kRetire:
      return routes::Retire(worker);
    case Intent::kUnbind:
      return routes::Unbind(worker);
    case Intent::kRefuse:
    case Intent::kSubmitResult: {
      ASSIGN_OR_RETURN(const UnitId unit, Field<UnitId>("unit_id", request.unit_id));
      ASSIGN_OR_RETURN(const AssignmentId assignment,
                       Field<AssignmentId>("assignment_id", request.assignment_id));
      out.subject = assignment.str();
      out.unit = unit.str();
      return request.intent == Intent::kRefuse ? routes::Refuse(worker, unit)
                                               : routes::SubmitResult(worker, unit);
    }
    case Intent::kFetchReceipt: {
      ASSIGN_OR_RETURN(const ResultId result, Field<ResultId>("result_id", request.result_id));
      out.subject = result.str();
      return routes::CanonicalReceipt(worker, result);
    }
    case Intent::kFetchPackage: {
      ASSIGN_OR_RETURN(const Sha256Hex manifest,
                       Field<Sha256Hex>("manifest_sha256", request.manifest_sha256));
      out.subject = manifest.str();
      return routes::PackageByManifest(manifest);
    }
    case Intent::kGetAttribution:
    case Intent::kPutAttribution: {
      ASSIGN_OR_RETURN(const AccountId account, Field<AccountId>("account_id", request.account_id));
      out.subject = account.str();
      return request.intent == Intent::kGetAttribution ? routes::GetAttribution(account)
                                                       : routes::PutAttribution(account);
    }
    default:
      return absl::InvalidArgumentError("intent: none was given");
  }
}

}  // namespace

absl::StatusOr<ComposedRequest> ComposeRequest(const UntrustedRequest& request,
                                               const Enrolment& enrolment,
                                               const std::string& public_key_hex, int64_t created) {
  ComposedRequest out;
  ASSIGN_OR_RETURN(const Route route, RouteOf(request, enrolment.worker_id, out));
  if (HasBody(request.intent)) {
    if (request.body_sha256.size() != 32) {
      return absl::InvalidArgumentError(
          Cat("body_sha256: ", request.body_sha256.size(), " octets, not 32"));
    }
    // No body has it, and to the ledger it means that there was no submission yet.
    if (ToDigest(request.body_sha256) == Digest32{}) {
      return absl::InvalidArgumentError("body_sha256: zeros are the digest of nothing");
    }
    out.body = ToDigest(request.body_sha256);
    out.parts.content_digest = ContentDigestHeader(request.body_sha256);
  }
  out.parts.method = std::string(route.method);
  out.parts.path = enrolment.base_url.TargetOf(route.path);
  out.parts.authority = enrolment.base_url.authority();
  out.parts.created = created;
  out.parts.keyid = public_key_hex;
  out.base = SignatureBase(out.parts);
  return out;
}

std::string SubjectOfRefusal(const UntrustedRequest& request) {
  for (const std::string* text : {&request.assignment_id, &request.result_id, &request.account_id,
                                  &request.manifest_sha256}) {
    if (!text->empty()) return *text;
  }
  return "";
}

}  // namespace auspex::keyd
