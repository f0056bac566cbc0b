// SPDX-License-Identifier: AGPL-3.0-only
#include "netd/connection_service.h"

#include <string.h>
#include <sys/utsname.h>

#include <thread>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/ids/ids.h"
#include "common/ipc/channel.h"
#include "common/json/canonical.h"
#include "common/log/log.h"
#include "common/wire/routes.h"
#include "netd/enrol_answer.h"
#include "netd/heartbeat_answer.h"
#include "netd/sleep.h"

namespace auspex {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// The first members of section 8: all that enrolment tells.
std::string EnrolBody(const PublicKeyHex& key) {
  utsname name = {};
  uname(&name);
  JsonObject capabilities;
  capabilities.emplace("os", Lower(name.sysname));
  capabilities.emplace("arch", Lower(name.machine));
  JsonObject body;
  body.emplace("pubkey_hex", key.str());
  body.emplace("capabilities", std::move(capabilities));
  return WriteCanonical(body);
}

}  // namespace

grpc::Status ConnectionService::GetStatus(grpc::ServerContext*, const netd::v1::GetStatusRequest*,
                                          netd::v1::ConnectionStatus* response) {
  const Counters::Snapshot now = counters_.Get();
  response->set_base_url(coordinator_.base().str());
  response->set_heartbeats_attempted(now.heartbeats_succeeded + now.heartbeats_failed);
  response->set_heartbeats_succeeded(now.heartbeats_succeeded);
  response->set_polls_attempted(now.polls_succeeded + now.polls_failed);
  response->set_polls_succeeded(now.polls_succeeded);
  response->set_polls_without_work(now.polls_without_work);
  response->set_offers_accepted(now.accepted);
  response->set_offers_refused(now.refused);
  response->set_long_polling(now.long_polling);
  response->set_last_error(now.last_error);
  response->set_clock_skew_seconds(now.clock_skew_seconds);
  return grpc::Status::OK;
}

grpc::Status ConnectionService::Enrol(grpc::ServerContext*, const netd::v1::EnrolRequest* request,
                                      netd::v1::EnrolResponse* response) {
  std::lock_guard lock(one_at_a_time_);
  return ToGrpc(DoEnrol(*request, *response));
}

absl::Status ConnectionService::DoEnrol(const netd::v1::EnrolRequest& request,
                                        netd::v1::EnrolResponse& response) {
  ASSIGN_OR_RETURN(const PublicKeyHex key, PublicKeyHex::Parse(request.public_key_hex()));
  ASSIGN_OR_RETURN(const stated::v1::Identity identity, stated_.GetIdentity(stop_));
  if (identity.enrolled()) {
    if (identity.public_key_hex() != key.str()) {
      return absl::FailedPreconditionError(
          "this worker is enrolled with another key; withdraw first");
    }
    response.set_worker_id(identity.worker_id());
    response.set_trust_tier(identity.trust_tier());
    response.set_already_enrolled(true);
    response.set_base_url(identity.base_url());
    return absl::OkStatus();
  }
  absl::StatusOr<HttpResponse> http =
      coordinator_.CallUnsigned(routes::Enroll(), EnrolBody(key), stop_);
  if (!http.ok()) return absl::UnavailableError(std::string(http.status().message()));
  absl::StatusOr<EnrolAnswer> answer = ReadEnrolAnswer(*http);
  if (!answer.ok()) return absl::AbortedError(std::string(answer.status().message()));
  response.set_base_url(coordinator_.base().str());
  if (!answer->refusal.empty()) {
    response.set_refusal(answer->refusal);
    LogWarning("enrolment_refused", {{"code", answer->refusal}});
    return absl::OkStatus();
  }
  stated::v1::RecordEnrolmentRequest record;
  record.set_worker_id(answer->worker_id);
  record.set_public_key_hex(key.str());
  record.set_trust_tier(answer->trust_tier);
  record.set_registered_at(answer->registered_at);
  record.set_base_url(coordinator_.base().str());
  RETURN_IF_ERROR(stated_.RecordEnrolment(record, stop_));
  response.set_worker_id(answer->worker_id);
  response.set_trust_tier(answer->trust_tier);
  LogInfo("enrolled", {{"worker", answer->worker_id}, {"tier", answer->trust_tier}});
  return absl::OkStatus();
}

grpc::Status ConnectionService::Login(grpc::ServerContext* context, const netd::v1::LoginRequest*,
                                      grpc::ServerWriter<netd::v1::LoginEvent>* writer) {
  std::unique_lock lock(one_at_a_time_, std::try_to_lock);
  if (!lock.owns_lock())
    return ToGrpc(absl::AbortedError("another login or enrolment is under way"));
  // Ends with the daemon or with the caller. gRPC's synchronous interface can only be asked whether
  // the caller is still there.
  std::stop_source stop;
  std::stop_callback with_daemon(stop_, [&stop] { stop.request_stop(); });
  std::jthread watch([&stop, context](std::stop_token over) {
    while (SleepUnlessStopped(over, 0.1)) {
      if (context->IsCancelled()) stop.request_stop();
    }
  });
  return ToGrpc(DoLogin(*writer, stop.get_token()));
}

absl::Status ConnectionService::DoLogin(grpc::ServerWriter<netd::v1::LoginEvent>& writer,
                                        std::stop_token stop) {
  ASSIGN_OR_RETURN(const stated::v1::Identity identity, stated_.GetIdentity(stop));
  if (!identity.enrolled()) return absl::FailedPreconditionError("this worker is not enrolled");
  DeviceFlow flow(login_, http_);
  ASSIGN_OR_RETURN(AccessToken token,
                   flow.Run(
                       [&writer](const DeviceFlow::Prompt& prompt) {
                         netd::v1::LoginEvent event;
                         event.mutable_prompt()->set_verification_uri(prompt.verification_uri);
                         event.mutable_prompt()->set_user_code(prompt.user_code);
                         event.mutable_prompt()->set_expires_in_seconds(prompt.expires_in_seconds);
                         writer.Write(event);
                       },
                       stop));
  netd::v1::LoginEvent event;
  RETURN_IF_ERROR(Bind(std::move(token), identity.trust_tier(), *event.mutable_done(), stop));
  writer.Write(event);
  return absl::OkStatus();
}

absl::Status ConnectionService::Bind(AccessToken token, uint32_t old_tier,
                                     netd::v1::LoginEvent::Done& done, std::stop_token stop) {
  JsonObject exchange;
  exchange.emplace("idp", "github");
  exchange.emplace("access_token", token.text());
  ASSIGN_OR_RETURN(
      const HttpResponse exchanged,
      coordinator_.CallUnsigned(routes::OauthExchange(), WriteCanonical(exchange), stop));
  ASSIGN_OR_RETURN(const ExchangeAnswer account, ReadExchangeAnswer(exchanged));

  JsonObject upgrade;
  upgrade.emplace("binding_token", account.binding_token);
  std::string body = WriteCanonical(upgrade);
  keyd::v1::SignRequestRequest intent;
  intent.mutable_upgrade()->set_body_sha256(Sha256(body));
  ASSIGN_OR_RETURN(const HttpResponse upgraded, coordinator_.Call(intent, std::move(body), stop));
  ASSIGN_OR_RETURN(const stated::v1::RecordHeartbeatRequest view, ReadHeartbeatAnswer(upgraded));

  stated::v1::RecordBindingRequest binding;
  binding.set_trust_tier(view.trust_tier());
  binding.set_account_id(account.account_id);
  binding.set_idp("github");
  binding.set_bound_at(account.expires_at);
  binding.set_is_new_account(account.is_new_account);
  RETURN_IF_ERROR(stated_.RecordBinding(binding, stop));
  done.set_account_id(account.account_id);
  done.set_old_tier(old_tier);
  done.set_new_tier(view.trust_tier());
  done.set_is_new_account(account.is_new_account);
  LogInfo("bound", {{"account", account.account_id}, {"tier", view.trust_tier()}});
  return absl::OkStatus();
}

grpc::Status ConnectionService::Retire(grpc::ServerContext*, const netd::v1::RetireRequest*,
                                       netd::v1::RetireResponse* response) {
  return ToGrpc(DoRetire(*response));
}

absl::Status ConnectionService::DoRetire(netd::v1::RetireResponse& response) {
  keyd::v1::SignRequestRequest intent;
  intent.mutable_retire();
  absl::StatusOr<HttpResponse> http = coordinator_.Call(intent, "", stop_);
  if (!http.ok()) {
    response.set_outcome("failed");
    response.set_detail(CleanText(std::string(http.status().message()), 500));
  } else if (http->status == 200) {
    response.set_outcome("retired");
  } else {
    response.set_outcome(http->status == 404 ? "not_found" : "failed");
    response.set_detail(Describe(*http, ReadError(*http)));
  }
  LogInfo("retire", {{"outcome", response.outcome()}, {"detail", response.detail()}});
  return absl::OkStatus();
}

}  // namespace auspex
