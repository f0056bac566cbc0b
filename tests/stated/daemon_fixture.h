// SPDX-License-Identifier: AGPL-3.0-only
// DaemonTest: the real auspex-stated over its real sockets in a throw-away home, one stub a service.
// Owns the process; one thread a test unless said otherwise.
#ifndef AUSPEX_TESTS_STATED_DAEMON_FIXTURE_H_
#define AUSPEX_TESTS_STATED_DAEMON_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "auspex/stated/v1/stated.grpc.pb.h"
#include "common/base/cat.h"
#include "common/ipc/channel.h"
#include "common/ipc/role_key.h"
#include "tests/stated/fixture.h"
#include "tests/support/process.h"

namespace auspex::stated {

using auspex::testing::Process;
using auspex::testing::ProgramPath;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() { Start(); }
  ~DaemonTest() override {
    if (HasFailure()) std::cerr << auspex::testing::ReadAll(log());
  }
  std::string log() const { return folder_ / "log"; }
  std::string Socket(const std::string& role) const {
    return Cat(folder_.path(), "/run/stated/", role, ".sock");
  }
  std::string Database() const { return folder_ / "state/stated/auspex.db"; }

  void Start(const std::function<void()>& before_exec = {}) {
    process_ = std::make_unique<Process>(
        std::vector<std::string>{ProgramPath("auspex-stated"), "--home", folder_.path()}, log(),
        before_exec);
    // The channels may come before their server.
    for (const char* role : {"net", "run", "owner"}) ASSERT_TRUE(EnsureRoleKey(Socket(role)).ok());
    net_channel_ = ConnectTo(Socket("net"));
    run_channel_ = ConnectTo(Socket("run"));
    owner_channel_ = ConnectTo(Socket("owner"));
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
    ASSERT_TRUE(net_channel_->WaitForConnected(deadline)) << auspex::testing::ReadAll(log());
    ASSERT_TRUE(run_channel_->WaitForConnected(deadline));
    ASSERT_TRUE(owner_channel_->WaitForConnected(deadline));
    intake_ = v1::Intake::NewStub(net_channel_);
    outbox_ = v1::Outbox::NewStub(net_channel_);
    work_ = v1::Work::NewStub(run_channel_);
    query_ = v1::Query::NewStub(owner_channel_);
    policy_ = v1::Policy::NewStub(owner_channel_);
  }

  // One call with a deadline.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    SetDeadline(context, 20);
    return (stub.*method)(&context, request, response);
  }

  void Enrol() {
    v1::RecordEnrolmentRequest request;
    request.set_worker_id("wkr-1");
    request.set_public_key_hex(key_.public_hex());
    request.set_registered_at("2026-05-23T00:00:00Z");
    request.set_base_url("https://lab.example");
    v1::RecordEnrolmentResponse response;
    const grpc::Status status =
        Call(*intake_, &v1::Intake::Stub::RecordEnrolment, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  static v1::OfferRequest OfferOf(int n) {
    const OfferFields fields = OfferNumber(n);
    v1::OfferRequest request;
    request.set_assignment_id(fields.assignment_id);
    request.set_experiment_id(fields.experiment_id);
    request.set_unit_id(fields.unit_id);
    request.set_tenant_id(fields.tenant_id);
    request.set_experiment_label(fields.experiment_label);
    request.set_manifest_sha256(fields.manifest_sha256);
    request.set_created_at(fields.created_at);
    request.set_canonical_payload(fields.payload);
    return request;
  }
  v1::CompleteUnitRequest CompletionOf(int n) const {
    const CompletionFields fields = Complete(key_, Cat("asg-", n), Cat("u-", n));
    v1::CompleteUnitRequest request;
    request.set_assignment_id(fields.assignment_id);
    request.set_completed_at(fields.completed_at);
    request.set_canonical_payload(fields.payload);
    request.set_schema_version(2);
    request.set_ran_under(fields.ran_under);
    request.set_worker_pubkey(fields.worker_pubkey);
    request.set_worker_signature(fields.signature);
    request.set_result_sha256(fields.digest);
    return request;
  }
  v1::Status Status() {
    v1::Status status;
    const grpc::Status called =
        Call(*query_, &v1::Query::Stub::GetStatus, v1::GetStatusRequest(), &status);
    EXPECT_TRUE(called.ok()) << called.error_message();
    return status;
  }

  TempFolder folder_;
  TestKey key_;
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> net_channel_, run_channel_, owner_channel_;
  std::unique_ptr<v1::Intake::Stub> intake_;
  std::unique_ptr<v1::Outbox::Stub> outbox_;
  std::unique_ptr<v1::Work::Stub> work_;
  std::unique_ptr<v1::Query::Stub> query_;
  std::unique_ptr<v1::Policy::Stub> policy_;
};

// A server stream with its context.
template <typename Message>
struct Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<Message>> reader;
};

}  // namespace auspex::stated

#endif  // AUSPEX_TESTS_STATED_DAEMON_FIXTURE_H_
