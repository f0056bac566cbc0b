// SPDX-License-Identifier: AGPL-3.0-only
// StatedClient: stated's role "net" as netd uses it. Safe from any thread; a stream callback runs
// on the caller's thread. Errors are stated's (stated.proto); UNAVAILABLE or DEADLINE_EXCEEDED when
// stated does not answer.
#ifndef AUSPEX_NETD_STATED_CLIENT_H_
#define AUSPEX_NETD_STATED_CLIENT_H_

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "auspex/stated/v1/stated.pb.h"

namespace auspex {

class StatedClient {
 public:
  explicit StatedClient(const std::string& socket_path);
  ~StatedClient();

  absl::StatusOr<stated::v1::Identity> GetIdentity(std::stop_token stop);
  absl::Status RecordEnrolment(const stated::v1::RecordEnrolmentRequest& request,
                               std::stop_token stop);
  absl::Status RecordBinding(const stated::v1::RecordBindingRequest& request, std::stop_token stop);
  // One canonical JSON object.
  absl::StatusOr<std::string> GetCapabilities(std::stop_token stop);
  absl::Status RecordHeartbeat(const stated::v1::RecordHeartbeatRequest& request,
                               std::stop_token stop);
  absl::Status RecordPoll(const stated::v1::RecordPollRequest& request, std::stop_token stop);
  absl::StatusOr<stated::v1::OfferResponse> Offer(const stated::v1::OfferRequest& request,
                                                  std::stop_token stop);
  // The present demand, asked for afresh: whatever stated committed before the call is in it.
  absl::StatusOr<stated::v1::Demand> GetDemand(std::stop_token stop);
  // Settles; after `stop` one short attempt is still made, because the news is in hand.
  absl::Status Settle(const stated::v1::SettleRequest& request, std::stop_token stop);

  // Runs until the stream ends or `stop`; returns how it ended. `take` is called for each message
  // and ends the stream by returning false.
  absl::Status WatchDemand(std::stop_token stop,
                           const std::function<bool(const stated::v1::Demand&)>& take);
  absl::Status WatchOutbox(std::stop_token stop,
                           const std::function<bool(stated::v1::OutboxItem)>& take);

  // An upload of a package, begun by the constructor of StartPackage. Destroying it before Finish
  // cancels it. One thread.
  class PackageUpload {
   public:
    virtual ~PackageUpload() = default;
    // Sends octets in pieces of at most 256 KiB.
    virtual absl::Status Write(std::string_view octets) = 0;
    // Ends the upload: OK means that stated has the package and has settled the item.
    virtual absl::Status Finish() = 0;
  };
  std::unique_ptr<PackageUpload> StartPackage(uint64_t item_id, std::stop_token stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_STATED_CLIENT_H_
