// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/keyd_client.h"

#include <utility>

#include "auspex/keyd/v1/keyd.grpc.pb.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "runnerd/rpc.h"

namespace auspex::runnerd {

namespace rpc = auspex::keyd::v1;

struct KeydClient::Stub {
  std::unique_ptr<rpc::ResultSigner::Stub> signer;
};

namespace {

constexpr size_t kSignatureOctets = 64;

// Waits before another attempt; gives up once the unit's end was asked for.
auto PauseFor(RunControl& control) {
  return [&control](double seconds) { return control.WaitRequested(seconds); };
}

}  // namespace

KeydClient::KeydClient(const std::string& socket)
    : stub_(new Stub{rpc::ResultSigner::NewStub(ConnectTo(socket))}) {}
KeydClient::~KeydClient() = default;

absl::StatusOr<SignedResult> KeydClient::Sign(const Unit& unit, const UnitResult& result,
                                              RunControl& control) {
  rpc::SignResultRequest request;
  request.set_unit_id(unit.unit_id.str());
  request.set_assignment_id(unit.assignment_id.str());
  request.set_completed_at(result.completed_at);
  request.set_exit_code(result.exit_code);
  request.set_canonical_payload(result.canonical_payload);
  request.set_schema_version(2);
  request.set_ran_under(result.ran_under);
  rpc::SignResultResponse answer;
  RETURN_IF_ERROR(CallUntilAnswered(
      "keyd.SignResult",
      [&](grpc::ClientContext& context) {
        return stub_->signer->SignResult(&context, request, &answer);
      },
      PauseFor(control), kTroubleSeconds));
  SignedResult done;
  done.result = result;
  done.worker_pubkey = answer.worker_pubkey();
  done.signature = answer.signature();
  done.result_sha256 = answer.result_sha256();
  if (result.raw_response) {
    rpc::SignRawTextRequest raw;
    raw.set_unit_id(unit.unit_id.str());
    raw.set_assignment_id(unit.assignment_id.str());
    raw.set_raw_sha256(Sha256(*result.raw_response));
    rpc::SignRawTextResponse raw_answer;
    RETURN_IF_ERROR(CallUntilAnswered(
        "keyd.SignRawText",
        [&](grpc::ClientContext& context) {
          return stub_->signer->SignRawText(&context, raw, &raw_answer);
        },
        PauseFor(control), kTroubleSeconds));
    done.raw_signature = raw_answer.signature();
    if (done.raw_signature.size() != kSignatureOctets)
      return absl::InternalError("keyd.SignRawText: no signature in the answer");
  }
  if (done.signature.size() != kSignatureOctets || done.worker_pubkey.size() != 64 ||
      done.result_sha256.size() != 32) {
    return absl::InternalError("keyd.SignResult: a field of the answer has the wrong size");
  }
  return done;
}

}  // namespace auspex::runnerd
