// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/heartbeat_answer.h"

#include <optional>

#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "netd/answer.h"

namespace auspex {
namespace {

// True when `release` was filled from an announcement that is whole.
bool ReadRelease(const JsonValue& answer, stated::v1::RecordHeartbeatRequest::Release& release) {
  const JsonValue* announced = answer.Find("latest_release");
  if (announced == nullptr) return false;
  const std::string* version = announced->FindString("version");
  const std::string* headline = announced->FindString("headline");
  if (version == nullptr || version->empty() || version->size() > 64 || headline == nullptr)
    return false;
  release.set_version(CleanText(*version, 64));
  release.set_headline(CleanText(*headline, 500));
  const std::string* url = announced->FindString("release_url");
  if (url != nullptr && url->size() <= 500 &&
      (url->rfind("https://", 0) == 0 || url->rfind("http://", 0) == 0)) {
    release.set_release_url(CleanText(*url, 500));
  }
  return true;
}

}  // namespace

absl::StatusOr<stated::v1::RecordHeartbeatRequest> ReadHeartbeatAnswer(
    const HttpResponse& response) {
  if (response.status != 200) return absl::AbortedError(Describe(response, ReadError(response)));
  ASSIGN_OR_RETURN(const JsonValue answer, ReadAnswerObject(response));
  const std::string* worker_id = answer.FindString("worker_id");
  if (worker_id == nullptr) return absl::InvalidArgumentError("HTTP 200 without worker_id");
  RETURN_IF_ERROR(WorkerId::Parse(*worker_id).status());
  const std::optional<uint32_t> tier = TierMember(answer);
  if (!tier.has_value())
    return absl::InvalidArgumentError("HTTP 200 without a trust_tier of 0 to 3");
  stated::v1::RecordHeartbeatRequest out;
  out.set_ok(true);
  out.set_trust_tier(*tier);
  stated::v1::RecordHeartbeatRequest::Release release;
  if (ReadRelease(answer, release)) *out.mutable_latest_release() = release;
  return out;
}

}  // namespace auspex
