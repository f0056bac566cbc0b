// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/coordinator.h"

#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "coordd/leases.h"
#include "coordd/reply.h"
#include "coordd/request_verifier.h"
#include "coordd/router.h"
#include "coordd/signature_input.h"

namespace auspex::coordd {
namespace {

constexpr std::string_view kLabSubmit = "/api/v0/lab/experiments";
constexpr std::string_view kPackages = "/api/v0/packages";

bool IsJsonContentType(const Request& request) {
  std::string type = request.Header("content-type").value_or("");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

// What the route's access rule says about this caller; nullopt when it may pass. Class first, then
// identity (section 4).
std::optional<Reply> CheckAccess(const RouteMatch& match, const Caller& caller) {
  const bool is_self = caller.worker() && !match.path.empty() && caller.worker_id == match.path[0];
  switch (match.route->access) {
    case Access::kAnyone:
      return std::nullopt;
    case Access::kWorker:
      if (!caller.worker()) return ClassRequired(CallerClass::kWorker, caller.kind);
      return std::nullopt;
    case Access::kWorkerSelf:
      if (!caller.worker()) return ClassRequired(CallerClass::kWorker, caller.kind);
      if (!is_self) {
        return Error(
            403, "worker_id_mismatch", "the path names another worker",
            {{"credential_worker_id", caller.worker_id}, {"url_worker_id", match.path[0]}});
      }
      return std::nullopt;
    case Access::kWorkerSelfOrMaintainer:
      if (caller.maintainer() || is_self) return std::nullopt;
      return Error(403, "worker_self_or_maintainer_required",
                   "this route is for the worker itself or a maintainer",
                   {{"credential_class", ClassWord(caller.kind)}});
    case Access::kResearcher:
      if (!caller.researcher()) return ClassRequired(CallerClass::kResearcher, caller.kind);
      return std::nullopt;
    case Access::kResearcherOrMaintainer:
      if (caller.maintainer() || caller.researcher()) return std::nullopt;
      return ClassRequired(CallerClass::kResearcher, caller.kind);
    case Access::kMaintainer:
      if (!caller.maintainer()) return ClassRequired(CallerClass::kMaintainer, caller.kind);
      return std::nullopt;
  }
  return InternalError();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Open(Options options,
                                                               const Clock& clock) {
  std::unique_ptr<Coordinator> out(new Coordinator(std::move(options)));
  const Options& opts = out->options_;
  ASSIGN_OR_RETURN(out->db_, Database::Open(Cat(opts.state_dir, "/coordinator.sqlite")));
  ASSIGN_OR_RETURN(MaintainerTokens tokens,
                   MaintainerTokens::Load(opts.token_file, clock.NowMicros()));
  out->tokens_ = std::make_unique<MaintainerTokens>(std::move(tokens));
  ASSIGN_OR_RETURN(SigningKey key,
                   SigningKey::LoadOrCreate(Cat(opts.state_dir, "/signing_key.pem")));
  out->key_ = std::make_unique<SigningKey>(std::move(key));
  out->services_.reset(new Services{.options = opts,
                                    .clock = clock,
                                    .db = *out->db_,
                                    .key = *out->key_,
                                    .tokens = *out->tokens_});
  return out;
}

size_t Coordinator::BodyLimit(const Request& headers_only) {
  const std::string_view path = headers_only.path();
  if (headers_only.method != "POST") return kMaxBodyOctets;
  if (path == kLabSubmit) {
    const auto authorization = headers_only.Header("authorization");
    const bool allowed = authorization && authorization->starts_with("Bearer ") &&
                         services_->tokens.Accepts(std::string_view(*authorization).substr(7),
                                                   services_->clock.NowMicros());
    return allowed ? kMaxLabBodyOctets : kMaxBodyOctets;
  }
  if (path == kPackages) {
    const auto input = ParseSignatureInput(headers_only.Header("signature-input").value_or(""));
    if (!input.ok()) return kMaxBodyOctets;
    Rows rows = db_->Query("SELECT 1 FROM tenants WHERE pubkey = ?", input->keyid);
    // One octet over the package cap, so that the handler can answer with the package's own code.
    return rows.Next() ? kMaxPackageOctets + 1 : kMaxBodyOctets;
  }
  return kMaxBodyOctets;
}

Reply Coordinator::InSavepoint(const std::function<Reply()>& work) {
  if (!db_->in_transaction()) db_->Begin();
  db_->Savepoint();
  Reply reply;
  try {
    reply = work();
  } catch (const std::exception& error) {
    // Nothing below throws on purpose; memory can run out, and a handler must not take the others'
    // batch with it.
    LogError("handler_threw", {{"cause", error.what()}});
    reply = InternalError();
  }
  if (reply.status >= 400 && !reply.keep_writes && db_->error().ok()) {
    db_->RollbackSavepoint();
    services_->cursors.Reset();
    return reply;
  }
  if (absl::Status status = db_->ReleaseSavepoint(); !status.ok()) {
    services_->cursors.Reset();
    LogError("store_failed", {{"cause", std::string(status.message())}});
    return InternalError();
  }
  return reply;
}

Reply Coordinator::Handle(const Request& request) {
  if (options_.fake_idp && request.path().starts_with(FakeIdp::kPrefix)) {
    return services_->fake_idp.Handle(request);
  }
  Reply reply = InSavepoint([&] { return Dispatch(request); });
  if (reply.again) {
    // The request dies before a held poll is tried again; the handler's closure owns what it needs.
    reply.again = [this, work = std::move(reply.again)] { return InSavepoint(work); };
  }
  return reply;
}

Reply Coordinator::Dispatch(const Request& request) {
  const std::optional<RouteMatch> match = MatchRoute(request.method, request.path());
  if (!match) return PlainDetail(404, "Not Found");
  if (match->route == nullptr) return PlainDetail(405, "Method Not Allowed");

  Context context{.request = request, .now = services_->clock.NowMicros()};
  JsonValue body;
  if (match->route->body == BodyForm::kJson) {
    context.json_content_type = IsJsonContentType(request);
    if (!request.body.empty() && context.json_content_type) {
      JsonLimits limits;
      if (request.body.size() > limits.max_octets) {
        limits.max_octets = kMaxLabBodyOctets;
        limits.max_values = 20'000'000;
      }
      auto parsed = ReadJson(request.body, limits);
      if (!parsed.ok()) {
        return ValidationRefusal({ValidationProblem(
            "", Cat("JSON decode error: ", std::string(parsed.status().message())),
            "json_invalid")});
      }
      body = *std::move(parsed);
    }
    if (!request.body.empty()) context.body = &body;
  }
  auto caller = Identify(*services_, request, context.now);
  if (auto* refusal = std::get_if<Reply>(&caller)) {
    // 5.1: an enrolment signed by the key that it enrols is let through when the switch is on; the
    // handler verifies it.
    const bool self_signed = options_.signed_enrol && request.path() == "/api/v0/workers/enroll" &&
                             refusal->status == 401;
    if (!self_signed) return std::move(*refusal);
  } else {
    context.caller = std::get<Caller>(std::move(caller));
  }
  context.path = match->path;
  if (auto refusal = CheckAccess(*match, context.caller)) return *std::move(refusal);
  return match->route->handler(*services_, context);
}

absl::Status Coordinator::Flush() {
  if (!db_->in_transaction()) return absl::OkStatus();
  absl::Status status = db_->Commit();
  if (!status.ok()) {
    services_->cursors.Reset();
    LogError("commit_failed", {{"cause", std::string(status.message())}});
  }
  return status;
}

int64_t Coordinator::ExpireSilent() {
  int64_t freed = 0;
  InSavepoint([&] {
    freed = FreeSilentPlaces(*services_, services_->clock.NowMicros());
    return Reply{};
  });
  return freed;
}

}  // namespace auspex::coordd
