// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/netd/fake_stated.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace auspex::testing {

using namespace stated::v1;  // NOLINT: a test's fake of exactly this package
using grpc::ServerContext;

class FakeStated::IntakeService final : public Intake::Service {
 public:
  explicit IntakeService(FakeStated& owner) : o_(owner) {}

  grpc::Status GetIdentity(ServerContext*, const GetIdentityRequest*, Identity* out) override {
    std::lock_guard lock(o_.mutex_);
    *out = o_.identity_;
    return grpc::Status::OK;
  }
  grpc::Status RecordEnrolment(ServerContext*, const RecordEnrolmentRequest* request,
                               RecordEnrolmentResponse*) override {
    return Note([&] { o_.enrolments.push_back(*request); });
  }
  grpc::Status RecordBinding(ServerContext*, const RecordBindingRequest* request,
                             RecordBindingResponse*) override {
    return Note([&] { o_.bindings.push_back(*request); });
  }
  grpc::Status GetCapabilities(ServerContext*, const GetCapabilitiesRequest*,
                               Capabilities* out) override {
    out->set_canonical_json(R"({"os":"linux"})");
    return grpc::Status::OK;
  }
  grpc::Status RecordHeartbeat(ServerContext*, const RecordHeartbeatRequest* request,
                               RecordHeartbeatResponse*) override {
    return Note([&] { o_.heartbeats.push_back(*request); });
  }
  grpc::Status RecordPoll(ServerContext*, const RecordPollRequest* request,
                          RecordPollResponse*) override {
    return Note([&] { o_.polls.push_back(*request); });
  }
  grpc::Status Offer(ServerContext*, const OfferRequest* request, OfferResponse* out) override {
    const bool fails = o_.failing_offers_-- > 0;
    const grpc::Status noted = Note([&] {
      o_.offers.push_back(*request);
      out->set_decision("accepted");
      if (o_.offer_answer_) *out = o_.offer_answer_(*request);
    });
    return fails ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "database is locked") : noted;
  }
  grpc::Status WatchDemand(ServerContext* context, const WatchDemandRequest*,
                           grpc::ServerWriter<Demand>* writer) override {
    uint64_t sent = 0;
    std::unique_lock lock(o_.mutex_);
    while (!o_.stopping_ && !context->IsCancelled()) {
      if (o_.demand_version_ != sent) {
        sent = o_.demand_version_;
        const Demand demand = o_.demand_;
        lock.unlock();
        if (!writer->Write(demand)) return grpc::Status::OK;
        lock.lock();
        continue;
      }
      o_.changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return grpc::Status::OK;
  }

 private:
  template <typename Action>
  grpc::Status Note(Action action) {
    {
      std::lock_guard lock(o_.mutex_);
      action();
    }
    o_.changed_.notify_all();
    return grpc::Status::OK;
  }
  FakeStated& o_;
};

class FakeStated::OutboxService final : public Outbox::Service {
 public:
  explicit OutboxService(FakeStated& owner) : o_(owner) {}

  grpc::Status WatchOutbox(ServerContext* context, const WatchOutboxRequest*,
                           grpc::ServerWriter<OutboxItem>* writer) override {
    std::set<uint64_t> sent;
    std::unique_lock lock(o_.mutex_);
    while (!o_.stopping_ && !context->IsCancelled()) {
      const OutboxItem* next = nullptr;
      for (const auto& [id, item] : o_.items_) {
        if (!sent.contains(id) && !o_.settled.contains(id)) {
          next = &item;
          break;
        }
      }
      if (next == nullptr) {
        o_.changed_.wait_for(lock, std::chrono::milliseconds(20));
        continue;
      }
      const OutboxItem item = *next;
      sent.insert(item.id());
      lock.unlock();
      if (!writer->Write(item)) return grpc::Status::OK;
      lock.lock();
    }
    return grpc::Status::OK;
  }
  grpc::Status Settle(ServerContext*, const SettleRequest* request, SettleResponse*) override {
    {
      std::lock_guard lock(o_.mutex_);
      o_.settled[request->id()] = *request;
    }
    o_.changed_.notify_all();
    return grpc::Status::OK;
  }
  grpc::Status PutPackage(ServerContext* context, grpc::ServerReader<PutPackageRequest>* reader,
                          SettleResponse*) override {
    PutPackageRequest request;
    uint64_t id = 0;
    std::string octets;
    while (reader->Read(&request)) {
      EXPECT_LE(request.chunk().size(), 256u * 1024);
      if (id == 0) id = request.id();
      octets += request.chunk();
    }
    if (o_.holds_packages_) {
      ++o_.held_packages_;
      o_.changed_.notify_all();
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return grpc::Status::CANCELLED;
    }
    if (o_.failing_packages_-- > 0)
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "database is locked");
    {
      std::lock_guard lock(o_.mutex_);
      if (context->IsCancelled()) {
        ++o_.cancelled_packages;
      } else {
        o_.packages_[id] = octets;
        o_.settled[id].set_id(id);
      }
    }
    o_.changed_.notify_all();
    return grpc::Status::OK;
  }

 private:
  FakeStated& o_;
};

FakeStated::FakeStated(const std::string& socket)
    : intake_(std::make_unique<IntakeService>(*this)),
      outbox_(std::make_unique<OutboxService>(*this)) {
  demand_.set_free_slots(1);
  demand_.set_generation(1);
  demand_.set_reason("ready");
  demand_.set_enrolled(true);
  demand_version_ = 1;
  identity_.set_enrolled(true);
  identity_.set_worker_id("wkr-test");
  identity_.set_public_key_hex(std::string(64, 'a'));
  auto server = RoleServer::Start(
      {.role = "stated/net", .socket_path = socket, .allow = PeerRule::Self(), .max_pollers = 4},
      {intake_.get(), outbox_.get()});
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

FakeStated::~FakeStated() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  server_->Shutdown(100);
}

void FakeStated::SetDemand(const std::function<void(Demand&)>& change) {
  {
    std::lock_guard lock(mutex_);
    change(demand_);
    ++demand_version_;
  }
  changed_.notify_all();
}

uint64_t FakeStated::Put(OutboxItem item) {
  uint64_t id;
  {
    std::lock_guard lock(mutex_);
    id = next_id_++;
    item.set_id(id);
    if (item.attempt() == 0) item.set_attempt(1);
    items_[id] = std::move(item);
  }
  changed_.notify_all();
  return id;
}

void FakeStated::SetOfferAnswer(std::function<OfferResponse(const OfferRequest&)> answer) {
  std::lock_guard lock(mutex_);
  offer_answer_ = std::move(answer);
}

void FakeStated::SetIdentity(Identity identity) {
  std::lock_guard lock(mutex_);
  identity_ = std::move(identity);
}

SettleRequest FakeStated::WaitForSettle(uint64_t id) {
  SettleRequest out;
  Wait([&](const FakeStated& stated) {
    const auto found = stated.settled.find(id);
    if (found != stated.settled.end()) out = found->second;
    return found != stated.settled.end();
  });
  return out;
}

bool FakeStated::Wait(const std::function<bool(const FakeStated&)>& holds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return holds(*this); });
}

std::map<uint64_t, std::string> FakeStated::packages() const {
  std::lock_guard lock(mutex_);
  return packages_;
}

}  // namespace auspex::testing
